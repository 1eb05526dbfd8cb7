package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// fromPage is what a browser says of this program's own page.
var fromPage = wstest.Header("Origin", base)

// page collects what several goroutines log.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// inMemory is a client whose server is there only after it was made.
type inMemory struct{ srv *wstest.Server }

func (m *inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	return m.srv.Client().Transport.RoundTrip(r)
}

func start(t *testing.T) (srv *wstest.Server, log *page) {
	t.Helper()
	network, log := &inMemory{}, &page{}
	l := &ladder{
		base: base, issuer: newIssuer(base),
		keys:    &security.JWKS{URL: base + "/keys", Client: &http.Client{Transport: network}},
		devices: devices{sha256.Sum256([]byte("k")): {"boiler"}},
	}
	ws, engine, err := l.program(slog.New(slog.NewTextHandler(log, nil)), gin.LoggerWithWriter(log))
	if err != nil {
		t.Fatal(err)
	}
	network.srv = wstest.StartHandler(t, ws, engine)
	return network.srv, log
}

// answer is what a plain request got.
type answer struct {
	status  int
	cookies []*http.Cookie
	body    map[string]any
}

// post sends a form, as a page of this program does.
func post(t *testing.T, srv *wstest.Server, path, token string, form url.Values, cookies ...*http.Cookie) (a answer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {base}}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	response, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a.status, a.cookies = response.StatusCode, response.Cookies()
	if a.status != http.StatusNoContent {
		err = json.NewDecoder(response.Body).Decode(&a.body)
	}
	if err != nil {
		t.Fatal(path, err)
	}
	return a
}

func signIn(t *testing.T, srv *wstest.Server) (token string) {
	t.Helper()
	token, _ = post(t, srv, "/token", "", url.Values{"username": {"alice"}}).body["access_token"].(string)
	return token
}

func ticketFor(t *testing.T, srv *wstest.Server, token, path string) string {
	t.Helper()
	ticket, _ := post(t, srv, "/ticket", token, url.Values{"path": {path}}).body["ticket"].(string)
	return ticket
}

func greeted(t *testing.T, srv *wstest.Server, path, want string, options ...wstest.Option) {
	t.Helper()
	if got := wstest.Dial[string, string](t, srv, path, options...).Receive(); got != want {
		t.Errorf("%.30s: got %q", path, got)
	}
}

func refused(t *testing.T, srv *wstest.Server, path string, status int, reason string, options ...wstest.Option) {
	t.Helper()
	if r := wstest.Refused(t, srv, path, options...); r.Status != status || r.Problem.Reason != reason {
		t.Errorf("%.30s: %d %s", path, r.Status, r.Body)
	}
}

// TestEveryRung: each room takes the credential of its place, and no other; and nobody writes a
// credential down.
func TestEveryRung(t *testing.T) {
	srv, log := start(t)
	token := signIn(t, srv)
	ticket := ticketFor(t, srv, token, "/ws/ticket")
	for rung, with := range map[string]struct {
		query   string
		options []wstest.Option
	}{
		"header":      {"", []wstest.Option{wstest.Header("Authorization", "Bearer "+token)}},
		"query":       {"?token=" + token, nil},
		"cookie":      {"", []wstest.Option{wstest.Cookie(cookie, token)}},
		"subprotocol": {"", []wstest.Option{wstest.Subprotocol("bearer, " + token)}},
		"ticket":      {"?ticket=" + ticket, nil},
	} {
		path := "/ws/" + rung + with.query
		greeted(t, srv, path, "hello alice", append(with.options, fromPage)...)
		if rung == "subprotocol" { // it accepts, and closes
			peer := wstest.Dial[string, string](t, srv, path, fromPage, wstest.Subprotocol("bearer, x"))
			if got := peer.Closed(); got.Code != 3000 || got.Reason != "invalid_token" {
				t.Errorf("a broken token: %v", got)
			}
			continue
		}
		refused(t, srv, "/ws/"+rung, 401, "credentials_required", fromPage)
		elsewhere := append(with.options, wstest.Header("Origin", "https://evil.example"))
		refused(t, srv, path, 403, "origin_not_allowed", elsewhere...)
	}
	refused(t, srv, "/ws/query?token=forged", 401, "invalid_token")
	refused(t, srv, "/ws/query?token="+token+"&token="+token, 400, "invalid_request")
	srv.Stop()
	for _, secret := range []string{token, ticket, "forged"} {
		if text := log.String(); strings.Contains(text, secret) || !strings.Contains(text, "/ws/query") {
			t.Errorf("the log says:\n%s", text)
		}
	}
}

// TestTicket is good once, soon, and for its path.
func TestTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		if got := post(t, srv, "/ticket", "a guess", url.Values{"path": {"/ws/ticket"}}).status; got != 401 {
			t.Errorf("a ticket for a bad token: %d", got)
		}
		token := signIn(t, srv)
		ticket := ticketFor(t, srv, token, "/ws/ticket")
		greeted(t, srv, "/ws/ticket?ticket="+ticket, "hello alice", fromPage)
		refused(t, srv, "/ws/ticket?ticket="+ticket, 401, "invalid_ticket", fromPage)
		refused(t, srv, "/ws/ticket?ticket="+ticketFor(t, srv, token, "/other"), 401, "invalid_ticket", fromPage)
		late := ticketFor(t, srv, token, "/ws/ticket")
		time.Sleep(31 * time.Second)
		refused(t, srv, "/ws/ticket?ticket="+late, 401, "invalid_ticket", fromPage)
	})
}

// TestSession: in with the cookie, from the program's own page, until the user signs out.
func TestSession(t *testing.T) {
	srv, _ := start(t)
	session := post(t, srv, "/login", "", url.Values{"username": {"ada"}}).cookies[0]
	signedIn := wstest.Cookie(session.Name, session.Value)
	greeted(t, srv, "/ws/session", "hello ada", signedIn, fromPage)
	refused(t, srv, "/ws/session", 401, "credentials_required", fromPage)
	refused(t, srv, "/ws/session", 401, "invalid_session", wstest.Cookie(sessionCookie, "mine"), fromPage)
	refused(t, srv, "/ws/session", 403, "origin_not_allowed", signedIn, wstest.Header("Origin", "https://evil.example"))
	refused(t, srv, "/ws/session", 403, "origin_not_allowed", signedIn) // from no page
	post(t, srv, "/logout", "", nil, session)
	refused(t, srv, "/ws/session", 401, "invalid_session", signedIn, fromPage)
}

// TestKey lets a program in, and stands in its header alone.
func TestKey(t *testing.T) {
	srv, _ := start(t)
	greeted(t, srv, "/ws/key", "hello boiler", wstest.Header("X-API-Key", "k"))
	refused(t, srv, "/ws/key", 401, "invalid_key", wstest.Header("X-API-Key", "other"))
	if got := wstest.Refused(t, srv, "/ws/key?X-API-Key=k"); got.Status != 401 || got.Header.Get("WWW-Authenticate") != "ApiKey" {
		t.Errorf("the key in the query: %d %q", got.Status, got.Header.Get("WWW-Authenticate"))
	}
}

func TestPage(t *testing.T) {
	srv, _ := start(t)
	for path, part := range map[string]string{"/": "One room, five ways in", "/app.js": "rungs", "/style.css": "color-scheme"} {
		if r := wstest.Get(t, srv, path); r.Status != 200 || !strings.Contains(string(r.Body), part) || r.Header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s: %d %v", path, r.Status, r.Header)
		}
	}
}
