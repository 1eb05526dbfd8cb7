package security_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// page is docs/security.md, whose tables these tests hold to what happens.
func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// member is a claims type that grants scopes.
type member struct{ Claims }

func (m member) Scopes() []string { return strings.Fields(m.Name) }

type failing struct{}

// refusing serves a route that can be refused in every way, once with HTTP and
// once with AcceptThenClose.
func refusing(t *testing.T) *wstest.Server {
	deps := depends.New()
	security.Use(deps, security.JWT[member]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience, Sources: []depends.Source{
		security.BearerHeader(), security.QueryToken("token"),
	}})
	depends.Provide(deps, func(ctx context.Context, in struct {
		Mode string `query:"mode" default:""`
		_    member
	},
	) (failing, error) {
		switch in.Mode {
		case "forbidden":
			return failing{}, depends.Forbidden("not_a_member", nil)
		case "missing":
			return failing{}, depends.NotFound("no_such_room", nil)
		case "away":
			return failing{}, depends.Unavailable(2*time.Second, nil)
		case "error":
			return failing{}, errors.New("secret")
		case "panic":
			panic("secret")
		}
		return failing{}, nil
	})
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), MaxPerPrincipal: 1, Origins: []string{page}})
	handler := func(ctx context.Context, c *wsroute.Conn[string, string], _ struct {
		_     failing
		M     member `scopes:"rooms:read"`
		Since int    `query:"since" default:"0" validate:"gte=0"`
	},
	) error {
		_, err := c.Receive(ctx)
		return err
	}
	wsroute.Handle(ws, "/http", handler)
	wsroute.Handle(ws, "/told", handler, wsroute.AcceptThenClose)
	return wstest.Start(t, ws)
}

// TestTheTableOfRefusals asks for each refusal of docs/security.md over the wire.
func TestTheTableOfRefusals(t *testing.T) {
	srv, text := refusing(t), docs(t)
	bearer := func(token string) wstest.Option { return wstest.Header("Authorization", "Bearer "+token) }
	good := bearer(mint(nil, map[string]any{"name": "rooms:read"}))
	wstest.Dial[string, string](t, srv, "/http", bearer(mint(nil, map[string]any{"name": "rooms:read", "sub": "busy"})))
	for what, ask := range map[string]struct {
		query   string
		options []wstest.Option
	}{
		"a foreign Origin":                 {"", []wstest.Option{good, wstest.Header("Origin", "https://evil.example")}},
		"no credential":                    {"", nil},
		"a bad, expired or forged token":   {"", []wstest.Option{bearer("x.y.z")}},
		"two credentials":                  {"?token=x", []wstest.Option{good}},
		"a scope that is not granted":      {"", []wstest.Option{bearer(mint(nil, nil))}},
		"a parameter that is not valid":    {"?since=x", []wstest.Option{good}},
		"a parameter that does not decode": {"?since=%zz", []wstest.Option{good}},
		"`depends.Forbidden`":              {"?mode=forbidden", []wstest.Option{good}},
		"`depends.NotFound`":               {"?mode=missing", []wstest.Option{good}},
		"`depends.Unavailable`":            {"?mode=away", []wstest.Option{good}},
		"any other error, or a panic":      {"?mode=error", []wstest.Option{good}},
		"too many of a principal":          {"", []wstest.Option{bearer(mint(nil, map[string]any{"name": "rooms:read", "sub": "busy"}))}},
	} {
		r := wstest.Refused(t, srv, "/http"+ask.query, ask.options...)
		challenge := r.Header.Get("Www-Authenticate")
		if challenge != "" {
			challenge = "`" + challenge + "`"
		}
		code := "HTTP as ever"
		if r.Status != http.StatusForbidden || r.Problem.Reason != "origin_not_allowed" {
			if r.Problem.Reason != "invalid_query" {
				code = fmt.Sprint(wstest.Dial[string, string](t, srv, "/told"+ask.query, ask.options...).Closed().Code)
			}
		}
		row := fmt.Sprintf("| %s | %d | %s | `%s` | %s |", what, r.Status, challenge, r.Problem.Reason, code)
		if !strings.Contains(text, row) {
			t.Errorf("docs/security.md lacks the line\n%s", row)
		}
	}
}

// TestTheTableOfWhatDoesNotStart mounts each configuration of docs/security.md.
func TestTheTableOfWhatDoesNotStart(t *testing.T) {
	text := docs(t)
	change := func(f func(*security.JWT[Claims])) security.Scheme[Claims] {
		j := config()
		f(&j)
		return j
	}
	for _, scheme := range []security.Scheme[Claims]{
		change(func(j *security.JWT[Claims]) { j.Keys = nil }),
		change(func(j *security.JWT[Claims]) { j.Keys = []security.Key{security.HS256(nil)} }),
		change(func(j *security.JWT[Claims]) { j.Keys = []security.Key{security.HS256([]byte("short"))} }),
		change(func(j *security.JWT[Claims]) { j.Keys = []security.Key{security.EdDSA(make([]byte, 32))} }),
		change(func(j *security.JWT[Claims]) { j.Keys = nil; j.JWKS = &security.JWKS{URL: "http://login.example/keys"} }),
		change(func(j *security.JWT[Claims]) { j.Issuer = "" }),
		change(func(j *security.JWT[Claims]) { j.Audience = "" }),
		change(func(j *security.JWT[Claims]) { j.Issuers = []string{"https://old.example"} }),
		change(func(j *security.JWT[Claims]) { j.Issuer, j.Issuers = "", []string{""} }),
		change(func(j *security.JWT[Claims]) { j.Leeway = time.Hour }),
		security.OneOf(security.Scheme[Claims](config()), security.Scheme[Claims](security.Opaque[Claims]{
			Sources: []depends.Source{security.BearerHeader()}, Find: func(context.Context, string) (Claims, error) { return Claims{}, nil },
		})),
		security.APIKey[Claims]{Sources: []depends.Source{security.QueryToken("key")}, Find: func(context.Context, [32]byte) (Claims, error) { return Claims{}, nil }},
		security.APIKey[Claims]{Sources: []depends.Source{security.Header("Cookie")}, Find: func(context.Context, [32]byte) (Claims, error) { return Claims{}, nil }},
		security.Basic[Claims]{Verify: func(context.Context, string, string) (Claims, error) { return Claims{}, nil }},
		&security.Tickets[Claims]{TTL: time.Hour},
	} {
		inTheTable(t, text, scheme)
	}
	inTheTable[v4](t, text, security.JWT[v4]{Keys: config().Keys, Issuer: issuer, Audience: audience})
	type Member struct{ banned bool }
	_ = Member{banned: true}
	inTheTable[Member](t, text, &security.Tickets[Member]{Store: &mapStore{}})
}

// inTheTable checks that a scheme does not start, and that the text has the fault and its hint.
func inTheTable[T any](t *testing.T, text string, scheme security.Scheme[T]) {
	t.Helper()
	deps := depends.New()
	security.Use(deps, scheme)
	ws := wsroute.New(deps, nil)
	type in struct{ _ T }
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], in) error { return nil })
	_, err := ws.Handler()
	fault, ok := errors.AsType[*depends.WiringError](err)
	if !ok || fault.Kind != "unsafe" {
		t.Errorf("%+v starts: %v", scheme, err)
		return
	}
	row := fmt.Sprintf("| %s | %s |", strings.ReplaceAll(fault.Fact, "security_test.", ""), fault.Hint)
	if !strings.Contains(text, row) {
		t.Errorf("docs/security.md lacks the line\n%s", row)
	}
}

// TestTheTableOfConfigsThatDoNotStart: what nothing at all allows is in the table, too.
func TestTheTableOfConfigsThatDoNotStart(t *testing.T) {
	text := docs(t)
	open := wsroute.New(depends.New(), nil)
	wsroute.Handle(open, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{}) error { return nil })
	_, err := open.Handler()
	if fault, ok := errors.AsType[*depends.WiringError](err); !ok || !strings.Contains(text, "| "+fault.Fact+" | "+fault.Hint+" |") {
		t.Errorf("docs/security.md lacks the line of %v", err)
	}
	for name, config := range map[string]*wsroute.Config{
		"any origin":    {Origins: []string{"*"}},
		"a wildcard":    {Origins: []string{"https://*.com"}},
		"no read limit": {Limits: wsroute.Limits{ReadLimit: -1}},
	} {
		_, err := wsroute.New(depends.New(), config).Handler()
		fault, ok := errors.AsType[*depends.WiringError](err)
		if !ok || fault.Kind != "bad config" {
			t.Errorf("%s starts: %v", name, err)
			continue
		}
		fact, hint := fault.Fact, fault.Hint
		if i := strings.LastIndex(fact, ": "); hint == "" && i > 0 { // the hint of a configuration stands in its fact
			fact, hint = fact[:i], fact[i+2:]
		}
		if row := fmt.Sprintf("| %s | %s |", fact, hint); !strings.Contains(text, row) {
			t.Errorf("docs/security.md lacks the line\n%s", row)
		}
	}
}
