package security_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

const page = "https://chat.example.com"

// account is what the schemes of these tests provide.
type account struct{ Name string }

// guarded serves one route that tells whom it let in.
func guarded(t *testing.T, scheme security.Scheme[account]) *wstest.Server {
	t.Helper()
	deps := depends.New()
	security.Use(deps, scheme)
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Origins: []string{page}})
	wsroute.Handle(ws, "/ws/:room", func(ctx context.Context, c *wsroute.Conn[string, string], in struct{ Account account }) error {
		return c.Send(ctx, in.Account.Name)
	}, wsroute.Diagnose)
	return wstest.Start(t, ws)
}

// outcome connects and tells what comes of it: a name, or a refusal.
func outcome(t *testing.T, srv *wstest.Server, target string, options ...wstest.Option) string {
	t.Helper()
	r := wstest.Get(t, srv, target, options...) // as a page would look first
	if r.Status == http.StatusUpgradeRequired {
		return wstest.Dial[string, string](t, srv, target, options...).Receive()
	}
	r = wstest.Refused(t, srv, target, options...)
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", r.Status, r.Problem.Reason, r.Header.Get("Www-Authenticate")))
}

// owners finds accounts by the hash of a key.
func owners(_ context.Context, hash [sha256.Size]byte) (account, error) {
	switch hash {
	case sha256.Sum256([]byte("k-alice")):
		return account{"alice"}, nil
	case sha256.Sum256([]byte("k-broken")):
		return account{}, errors.New("the database is away")
	}
	return account{}, fmt.Errorf("nobody: %w", depends.ErrAbsent)
}

func apiKey(sources ...depends.Source) security.APIKey[account] {
	return security.APIKey[account]{Sources: sources, Find: owners, InsecureQuery: true}
}

func TestAPIKey(t *testing.T) {
	srv := guarded(t, apiKey(security.Header("X-API-Key"), security.QueryToken("key")))
	key := func(k string) wstest.Option { return wstest.Header("X-API-Key", k) }
	for want, options := range map[string][]wstest.Option{
		"alice":                           {key("k-alice")},
		"401 credentials_required ApiKey": nil,
		"401 invalid_key ApiKey":          {key("k-mallory")},
		"500 internal_error":              {key("k-broken")},
		`400 invalid_request ApiKey error="invalid_request"`: {key("k-alice"), key("k-alice")},
	} {
		if got := outcome(t, srv, "/ws/a", options...); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := outcome(t, srv, "/ws/a?key=k-alice"); got != "alice" {
		t.Errorf("from the query: %s", got)
	}
}

func basic() security.Basic[account] {
	return security.Basic[account]{Realm: "chat", Verify: func(_ context.Context, name, password string) (account, error) {
		if name != "john" || password != "a:b" {
			return account{}, depends.ErrAbsent
		}
		return account{name}, nil
	}}
}

func TestBasic(t *testing.T) {
	srv := guarded(t, basic())
	encode := func(text string) wstest.Option {
		return wstest.Header("Authorization", "bAsIc "+base64.StdEncoding.EncodeToString([]byte(text)))
	}
	const refused = `401 invalid_credentials Basic realm="chat", charset="UTF-8"`
	for name, test := range map[string]struct {
		option wstest.Option
		want   string
	}{
		"good":      {encode("john:a:b"), "john"},
		"wrong":     {encode("john:a"), refused},
		"no colon":  {encode("john"), refused},
		"no base64": {wstest.Header("Authorization", "Basic ###"), refused},
		"not UTF-8": {encode("john:\xff"), refused},
		"other":     {wstest.Header("Authorization", "Bearer x"), `401 credentials_required Basic realm="chat", charset="UTF-8"`},
	} {
		if got := outcome(t, srv, "/ws/a", test.option); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestSession(t *testing.T) {
	find := func(_ context.Context, id string) (account, error) {
		if id != "s1" {
			return account{}, depends.ErrAbsent
		}
		return account{"alice"}, nil
	}
	plain := guarded(t, security.Session[account]{Cookie: "__Host-session", Find: find})
	locked := guarded(t, security.Session[account]{Cookie: "__Host-session", Find: find, CSRF: func(a account) string { return "csrf-" + a.Name }})
	origin, same := wstest.Header("Origin", page), wstest.Header("Sec-Fetch-Site", "same-origin")
	cookie := func(id string) wstest.Option { return wstest.Cookie("__Host-session", id) }
	for _, test := range []struct {
		srv     *wstest.Server
		target  string
		options []wstest.Option
		want    string
	}{
		{plain, "/ws/a", []wstest.Option{origin, cookie("s1")}, "alice"},
		{plain, "/ws/a", []wstest.Option{origin}, "401 credentials_required Session"},
		{plain, "/ws/a", []wstest.Option{origin, cookie("s2")}, "401 invalid_session Session"},
		{plain, "/ws/a", []wstest.Option{origin, cookie("s1"), cookie("s1")}, `400 invalid_request Session error="invalid_request"`},
		{plain, "/ws/a", []wstest.Option{cookie("s1")}, "403 origin_not_allowed"},
		{locked, "/ws/a?csrf_token=csrf-alice", []wstest.Option{origin, cookie("s1")}, "alice"},
		{locked, "/ws/a?csrf_token=csrf-bob", []wstest.Option{origin, cookie("s1")}, "403 invalid_csrf_token"},
		{locked, "/ws/a", []wstest.Option{origin, cookie("s1")}, "403 invalid_csrf_token"},
		{locked, "/ws/a?csrf_token=csrf-alice", []wstest.Option{origin, cookie("s2")}, "401 invalid_session Session"},
	} {
		if got := outcome(t, test.srv, test.target, test.options...); got != test.want {
			t.Errorf("%s: got %s, want %s", test.target, got, test.want)
		}
	}
	if r := wstest.Get(t, plain, "/ws/a", same, cookie("s1")); r.Status != 426 {
		t.Errorf("a diagnosing page: %d", r.Status)
	}
}

// TestOneOf: the first that is present decides, and a bad one does not fall through.
func TestOneOf(t *testing.T) {
	srv := guarded(t, security.OneOf(
		security.As(security.Scheme[Claims](config()), func(_ context.Context, c Claims) (account, error) {
			if c.Subject == "banned" {
				return account{}, depends.Forbidden("banned", nil)
			}
			return account{c.Subject}, nil
		}),
		security.Scheme[account](apiKey(security.Header("X-API-Key"))),
	))
	bearer := func(text string) wstest.Option { return wstest.Header("Authorization", "Bearer "+text) }
	apiKey := func(text string) wstest.Option { return wstest.Header("X-API-Key", text) }
	good := mint(nil, nil)
	for name, test := range map[string]struct {
		options []wstest.Option
		want    string
	}{
		"token":                  {[]wstest.Option{bearer(good)}, "ann"},
		"key":                    {[]wstest.Option{apiKey("k-alice")}, "alice"},
		"both":                   {[]wstest.Option{bearer(good), apiKey("k-alice")}, "ann"},
		"bad token and good key": {[]wstest.Option{bearer("x"), apiKey("k-alice")}, `401 invalid_token Bearer error="invalid_token"`},
		"good token and bad key": {[]wstest.Option{bearer(good), apiKey("x")}, "ann"},
		"neither":                {nil, "401 credentials_required Bearer, ApiKey"},
		"converted":              {[]wstest.Option{bearer(mint(nil, map[string]any{"sub": "banned"}))}, "403 banned"},
		"two keys":               {[]wstest.Option{apiKey("k-alice"), apiKey("k-alice")}, `400 invalid_request ApiKey error="invalid_request"`},
		"two tokens":             {[]wstest.Option{bearer(good), bearer(good)}, `400 invalid_request Bearer error="invalid_request"`},
	} {
		if got := outcome(t, srv, "/ws/a", test.options...); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

// TestAuthenticateOutsideOfARoute: the same schemes in a plain HTTP handler.
func TestAuthenticateOutsideOfARoute(t *testing.T) {
	for target, want := range map[string]string{"/?key=k-alice": "alice", "/": "401", "/?key=x": "401", "/?key=k-alice&key=x": "400", "/?%zz": "400"} {
		who, err := security.Authenticate(httptest.NewRequest(http.MethodPost, target, nil), security.Scheme[account](apiKey(security.QueryToken("key"))))
		got := who.Name
		if r, ok := errors.AsType[*depends.Rejection](err); ok {
			got = fmt.Sprint(r.Status)
		}
		if got != want {
			t.Errorf("%s: got %s %v, want %s", target, got, err, want)
		}
	}
}

func TestSchemesThatMustNotStart(t *testing.T) {
	for want, scheme := range map[string]security.Scheme[account]{
		"APIKey has no Find": security.APIKey[account]{Sources: []depends.Source{security.Header("X")}},
		"APIKey takes a key that does not expire from the query": security.APIKey[account]{Sources: []depends.Source{security.QueryToken("k")}, Find: owners},
		"APIKey looks nowhere":        security.APIKey[account]{Find: owners},
		"Basic names no Realm":        security.Basic[account]{Verify: basic().Verify},
		"Basic has no Verify":         security.Basic[account]{Realm: "r"},
		"Session has no Find":         security.Session[account]{Cookie: "c"},
		"has a cookie source without": security.Session[account]{},
		"Tickets has a TTL of 1h0m0s": &security.Tickets[account]{TTL: time.Hour},
		"OneOf is given a OneOf": security.OneOf(security.OneOf[account](apiKey(security.Header("A")), apiKey(security.Header("B"))),
			security.Scheme[account](apiKey(security.Header("C")))),
	} {
		deps := depends.New()
		security.Use(deps, scheme)
		_, err := wsroute.New(deps, &wsroute.Config{Origins: []string{page}}).Handler()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// tickets serves a route behind tickets, and gives them.
func tickets(t *testing.T, store security.TicketStore) (
	srv *wstest.Server, give func(path, origin string) string,
) {
	scheme := &security.Tickets[account]{Store: store}
	srv = guarded(t, scheme)
	handler := scheme.Handler(func(r *http.Request) (account, error) {
		return security.Authenticate(r, security.Scheme[account](apiKey(security.Header("X-API-Key"))))
	})
	return srv, func(path, origin string) string {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(`{"path":"`+path+`"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-API-Key", "k-alice")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var body struct {
			Ticket    string `json:"ticket"`
			ExpiresIn int    `json:"expires_in"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 200 || body.ExpiresIn != 30 || len(body.Ticket) != 43 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Error("a ticket may be cached")
		}
		return body.Ticket
	}
}

func TestATicketIsForOneUseOnePathAndOneOrigin(t *testing.T) {
	for name, store := range stores() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { oneUseOnePathAndOneOrigin(t, store) })
		})
	}
}

func oneUseOnePathAndOneOrigin(t *testing.T, store security.TicketStore) {
	srv, give := tickets(t, store)
	const refused = "401 invalid_ticket Ticket"
	origin := wstest.Header("Origin", page)
	if got := outcome(t, srv, "/ws/a?ticket="+give("/ws/a", page), origin); got != "alice" {
		t.Errorf("its own: %s", got) // though outcome looked first with a diagnosing GET
	}
	if got := outcome(t, srv, "/ws/a?ticket="+give("/ws/a", "")); got != "alice" {
		t.Errorf("a program's: %s", got)
	}
	for _, path := range []string{"/ws/a b", "/ws/a%20b"} {
		if got := outcome(t, srv, "/ws/a%20b?ticket="+give(path, page), origin); got != "alice" {
			t.Errorf("for %q: %s", path, got)
		}
	}
	used := give("/ws/a", page)
	wstest.Dial[string, string](t, srv, "/ws/a?ticket="+used, origin)
	for name, test := range map[string]struct{ target, ticket string }{
		"used": {"/ws/a", used}, "another path": {"/ws/b", give("/ws/a", page)}, "another origin": {"/ws/a", give("/ws/a", "https://evil.example")},
		"no origin": {"/ws/a", give("/ws/a", "")}, "unknown": {"/ws/a", "x"},
	} {
		if got := outcome(t, srv, test.target+"?ticket="+test.ticket, origin); got != refused {
			t.Errorf("%s: %s", name, got)
		}
	}
	late, last := give("/ws/a", page), give("/ws/a", page)
	time.Sleep(30*time.Second - time.Nanosecond)
	if got := outcome(t, srv, "/ws/a?ticket="+last, origin); got != "alice" {
		t.Errorf("just before it expires: %s", got)
	}
	time.Sleep(time.Nanosecond)
	if got := outcome(t, srv, "/ws/a?ticket="+late, origin); got != refused {
		t.Errorf("expired: %s", got)
	}
}

func TestOneOfAHundredGetsTheTicket(t *testing.T) {
	srv, give := tickets(t, nil)
	target := "/ws/a?ticket=" + give("/ws/a", "")
	var accepted, refused atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.Host+target, nil)
			request.Header = http.Header{
				"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			response, err := srv.Client().Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			_ = response.Body.Close()
			switch response.StatusCode {
			case 101:
				accepted.Add(1)
			case 401:
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if accepted.Load() != 1 || refused.Load() != 99 {
		t.Errorf("%d accepted, %d refused", accepted.Load(), refused.Load())
	}
}

func TestWhoGetsNoTicket(t *testing.T) {
	scheme := &security.Tickets[account]{}
	handler := scheme.Handler(func(r *http.Request) (account, error) {
		if r.Header.Get("X-Broken") != "" {
			return account{}, errors.New("secret")
		}
		return security.Authenticate(r, security.Scheme[account](apiKey(security.Header("X-API-Key"))))
	})
	for _, test := range []struct {
		method, kind, key, body string
		broken                  bool
		want                    int
	}{
		{"GET", "", "k-alice", "", false, 405},
		{"POST", "", "", "path=/ws", false, 401},
		{"POST", "", "k-alice", "path=/ws", true, 500},
		{"POST", "application/x-www-form-urlencoded", "k-alice", "path=%2Fws", false, 200},
		{"POST", "application/json; charset=utf-8", "k-alice", `{"path":"/ws"}`, false, 200},
		{"POST", "application/json", "k-alice", `{"path":`, false, 400},
		{"POST", "application/json", "k-alice", `{"path":"` + strings.Repeat("x", 5000) + `"}`, false, 400},
		{"POST", "application/json", "k-alice", `{}`, false, 422},
		{"POST", "application/json", "k-alice", `{"path":"ws"}`, false, 422},
		{"POST", "", "k-alice", "", false, 422},
	} {
		r := httptest.NewRequest(test.method, "/ticket", strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.kind)
		r.Header.Set("X-API-Key", test.key)
		if test.broken {
			r.Header.Set("X-Broken", "1")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.want || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%+v: got %d %s", test, w.Code, w.Body)
		}
	}
}
