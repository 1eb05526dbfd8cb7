package security_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"example.com/usher/security"
)

// FuzzTicketRequest: a ticket is issued only for a path that the body names, and no body is a
// failure of ours.
func FuzzTicketRequest(f *testing.F) {
	for _, seed := range []string{
		`{"path":"/ws"}`, `{"path":"ws"}`, `{"path":7}`, `{}`, `null`, `[]`, `{`, ``,
		`{"path":"/ws","path":"/x"}`, `{"PATH":"/ws"}`, `{"path":"/ws"} x`, `{"path":"/\u0000"}`,
		`{"path":"/` + strings.Repeat("x", 5000) + `"}`,
		"path=/ws", "path=%2Fws", "path=ws", "path=", "path=/a&path=/b", "path=/%zz", "x=1",
		"path=/ws;x", "/ws",
	} {
		for _, kind := range []string{
			"application/json", "application/x-www-form-urlencoded",
			"Application/JSON; charset=utf-8", "text/plain", "multipart/form-data; boundary=x", "",
		} {
			f.Add(kind, seed)
		}
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		tickets := &security.Tickets[string]{}
		r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		tickets.Handler(func(*http.Request) (string, error) { return "ann", nil }).ServeHTTP(w, r)
		switch {
		case w.Code >= 500:
			t.Errorf("%q %q is answered with %d", kind, body, w.Code)
		case w.Code == http.StatusOK && !namesPath(kind, body):
			t.Errorf("%q %q names no path, and has bought %s", kind, body, w.Body)
		}
	})
}

// namesPath says whether a body has a member or a field "path" that begins with a slash.
func namesPath(kind, body string) bool {
	if len(body) > 4<<10 {
		return false
	}
	if strings.Contains(kind, "multipart/form-data") {
		return strings.Contains(body, `"path"`)
	}
	form, _ := url.ParseQuery(body) // what decodes of it
	if strings.HasPrefix(form.Get("path"), "/") {
		return true
	}
	var object map[string]any
	_ = json.Unmarshal([]byte(body), &object)
	for name, value := range object {
		if text, ok := value.(string); ok && strings.EqualFold(name, "path") && strings.HasPrefix(text, "/") {
			return true
		}
	}
	return false
}
