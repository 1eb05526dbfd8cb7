package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"example.com/usher/security"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

const base = "http://127.0.0.1:8081"

// inMemory is a client whose server is there only after it was made.
type inMemory struct{ srv *wstest.Server }

func (m *inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	return m.srv.Client().Transport.RoundTrip(r)
}

func start(t *testing.T) *wstest.Server {
	t.Helper()
	network := &inMemory{}
	l := &ladder{base: base, issuer: newIssuer(base), keys: &security.JWKS{URL: base + "/keys", Client: &http.Client{Transport: network}}}
	ws, engine, err := l.program(slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	network.srv = wstest.StartHandler(t, ws, engine)
	return network.srv
}

// post returns a member of the JSON that a POST is answered with.
func post(t *testing.T, srv *wstest.Server, path, token, member string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Bearer " + token}, "Origin": {base}}
	response, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := map[string]any{}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", path, response.StatusCode, err)
	}
	text, _ := body[member].(string)
	return text
}

// TestEveryRung: each room takes the credential of its place, and no other.
func TestEveryRung(t *testing.T) {
	srv := start(t)
	token := post(t, srv, "/token", "", "access_token", url.Values{"username": {"alice"}})
	ticket := post(t, srv, "/ticket", token, "ticket", url.Values{"path": {"/ws/ticket"}})
	origin := wstest.Header("Origin", base)
	for rung, with := range map[string]struct {
		query  string
		option wstest.Option
	}{
		"header":      {"", wstest.Header("Authorization", "Bearer "+token)},
		"query":       {"?token=" + token, origin},
		"cookie":      {"", wstest.Cookie(cookie, token)},
		"subprotocol": {"", wstest.Subprotocol("bearer, " + token)},
		"ticket":      {"?ticket=" + ticket, wstest.Header("X-None", "1")},
	} {
		options := []wstest.Option{origin, with.option}
		if rung == "query" {
			options = options[:1]
		}
		if got := wstest.Dial[string, string](t, srv, "/ws/"+rung+with.query, options...).Receive(); got != "hello alice" {
			t.Errorf("%s: got %q", rung, got)
		}
		if rung == "subprotocol" { // it accepts, and closes
			if got := wstest.Dial[string, string](t, srv, "/ws/"+rung, origin, wstest.Subprotocol("bearer, x")).Closed(); got.Code != 3000 || got.Reason != "invalid_token" {
				t.Errorf("a broken token: %v", got)
			}
			continue
		}
		if r := wstest.Refused(t, srv, "/ws/"+rung, origin); r.Status != 401 || r.Problem.Reason != "credentials_required" {
			t.Errorf("%s with nothing: %d %s", rung, r.Status, r.Body)
		}
		if r := wstest.Refused(t, srv, "/ws/"+rung+with.query, wstest.Header("Origin", "https://evil.example"), with.option); r.Status != 403 {
			t.Errorf("%s from elsewhere: %d %s", rung, r.Status, r.Body)
		}
	}
}

func TestPage(t *testing.T) {
	srv := start(t)
	for path, part := range map[string]string{"/": "One room, five ways in", "/app.js": "rungs", "/style.css": "color-scheme"} {
		if r := wstest.Get(t, srv, path); r.Status != 200 || !strings.Contains(string(r.Body), part) || r.Header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s: %d %v", path, r.Status, r.Header)
		}
	}
}
