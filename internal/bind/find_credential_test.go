package bind_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// TestFindCredential is what a plain HTTP handler asks for.
func TestFindCredential(t *testing.T) {
	scheme := depends.Scheme{Name: "s", Challenge: "S", Sources: []depends.Source{{In: "cookie", Name: "c"}, {In: "query", Name: "q"}}}
	for target, want := range map[string]string{"/": "none", "/?q=a": "a", "/?q=a&q=b": "400", "/?q=%zz": "400", "/?%zz": "none"} {
		c, err := bind.FindCredential(httptest.NewRequest(http.MethodPost, target, nil), scheme)
		got := c.Value
		if r, ok := errors.AsType[*depends.Rejection](err); ok {
			got = fmt.Sprint(r.Status)
		}
		if errors.Is(err, depends.ErrAbsent) {
			got = "none"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
}

// TestACredentialDoesNotPrint, and the request that it came with is without it.
func TestACredentialDoesNotPrint(t *testing.T) {
	const canary = "canary-7a41"
	scheme := depends.Scheme{Name: "s", Challenge: "S", Params: []string{"csrf"}, Sources: []depends.Source{
		{In: "cookie", Name: "c"}, {In: "query", Name: "q"}, {In: "header", Name: "x-key"}, {In: "header", Name: "Authorization", Prefix: "Bearer"},
	}}
	for _, where := range []string{"q", "X-Key", "Authorization", "Cookie"} {
		r := httptest.NewRequest(http.MethodGet, "/x?a=1&csrf="+canary, nil)
		r.Header.Set("Accept", "x")
		switch where {
		case "q":
			r = httptest.NewRequest(http.MethodGet, "/x?a=1&csrf=y&q="+canary, nil)
			r.Header.Set("Accept", "x")
		case "Authorization":
			r.Header.Set(where, "Bearer "+canary)
		case "Cookie":
			r.Header.Set(where, "d=1; c="+canary)
		default:
			r.Header.Set(where, canary)
		}
		c, err := bind.FindCredential(r, scheme)
		if err != nil || c.Value != canary {
			t.Fatalf("%s: %v", where, err)
		}
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			_, _ = fmt.Fprintf(&out, verb+" "+verb+"\n", c, struct{ C *depends.Credential }{&c}.C)
		}
		text, _ := c.MarshalText()
		out.Write(text)
		_ = json.NewEncoder(&out).Encode(map[string]any{"c": c})
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "c", c)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "c", c)
		seen := c.Request()
		_, _ = fmt.Fprint(&out, seen.URL, seen.RequestURI, seen.Header)
		if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
			t.Errorf("%s: printed\n%s", where, out.String())
		}
		if seen.URL.String() != "/x?a=1" || seen.Header.Get("Accept") != "x" || where == "Cookie" && seen.Header.Get("Cookie") != "d=1" {
			t.Errorf("%s: the request is %v %v", where, seen.URL, seen.Header)
		}
		if r.URL.RawQuery == "a=1" {
			t.Error("the caller's own request was changed")
		}
	}
}
