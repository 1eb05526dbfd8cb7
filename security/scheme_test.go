package security_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	for target, want := range map[string]string{"/?key=k-alice": "alice", "/": "401", "/?key=x": "401", "/?key=k-alice&key=x": "400", "/?key=%zz": "400", "/?%zz": "401"} {
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
		"APIKey looks nowhere": security.APIKey[account]{Find: owners},
		"Opaque has no Find":   security.Opaque[account]{Sources: []depends.Source{security.Header("X")}},
		"Opaque looks nowhere": security.Opaque[account]{Find: introspected},
		"Opaque takes a token that does not expire from the query": security.Opaque[account]{Sources: []depends.Source{security.QueryToken("t")}, Find: introspected},
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

// refined embeds a JWT to add a check of its own.
type refined struct{ security.JWT[Claims] }

var errRefined = errors.New("refined")

func (refined) Authenticate(context.Context, depends.Credential) (Claims, error) {
	return Claims{}, errRefined
}

// TestReady: a JWT is prepared once, by value or by pointer, and a scheme that
// embeds one keeps its own Authenticate.
func TestReady(t *testing.T) {
	j := config()
	token := mint(nil, nil)
	for _, scheme := range []security.Scheme[Claims]{j, &j} {
		once := security.Ready(scheme)
		if _, err := authenticate(once, token); err != nil {
			t.Error(err)
		}
		again := testing.AllocsPerRun(20, func() { _, _ = authenticate(once, token) })
		literal := testing.AllocsPerRun(20, func() { _, _ = authenticate(scheme, token) })
		if again > literal*2/3 {
			t.Errorf("%T makes %v allocations prepared, and %v as a literal", scheme, again, literal)
		}
	}
	if _, err := authenticate(security.Ready[Claims](refined{j}), token); !errors.Is(err, errRefined) {
		t.Errorf("the refined Authenticate did not run: %v", err)
	}
}

func TestUse(t *testing.T) {
	// Each T is inferred from the scheme's methods.
	deps := depends.New()
	security.Use(deps, config())
	security.Use(deps.Child(), &security.JWT[*Claims]{})
	security.Use(deps.Child(), refined{config()})
	security.Use(deps.Child(), robotKeys{})
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "nil scheme") {
			t.Errorf("panic: %q", text)
		}
	}()
	security.Use[Claims](deps, nil)
}

func TestSources(t *testing.T) {
	if got, want := security.BearerHeader(), (depends.Source{In: "header", Name: "Authorization", Prefix: "Bearer"}); got != want {
		t.Errorf("BearerHeader is %+v", got)
	}
	if got, want := security.QueryToken("t"), (depends.Source{In: "query", Name: "t"}); got != want {
		t.Errorf("QueryToken is %+v", got)
	}
	described := config().Describe()
	if len(described.Sources) != 1 || described.Sources[0] != security.BearerHeader() {
		t.Errorf("by default, %+v", described.Sources)
	}
	if described.Name != "JWT" || described.Challenge != "Bearer" {
		t.Errorf("described as %+v", described)
	}
}

// TestSchemesDeclareTheirRefusals: OneOf has those of all its schemes, each once.
func TestSchemesDeclareTheirRefusals(t *testing.T) {
	key := security.APIKey[string]{}
	one := security.OneOf(security.Scheme[string](key), security.Opaque[string]{}, security.Opaque[string]{})
	want := []depends.Refusal{
		{Status: 401, Reason: "invalid_key", Doc: "the credential is not valid, or not any more"},
		{Status: 401, Reason: "invalid_token", Doc: "the credential is not valid, or not any more"},
	}
	if diff := cmp.Diff(want, one.Describe().Refuses); diff != "" {
		t.Error(diff)
	}
	remote := security.JWT[Claims]{JWKS: &security.JWKS{}}.Describe().Refuses
	if unavailable := remote[len(remote)-1]; unavailable.Status != 503 || unavailable.Reason != "unavailable" {
		t.Errorf("keys that are fetched: %+v", remote)
	}
}
