package wsroute_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Six mistakes on three routes.
type (
	Claims  struct{ jwt.RegisteredClaims }
	User    struct{ Name string }
	Store   struct{}
	Tx      struct{}
	Repo    struct{}
	Audit   struct{}
	History struct{}
)

type userInput struct {
	Claims Claims
	Store  *Store // nobody provides it
}

func currentUser(context.Context, userInput) (User, error) { return User{}, nil }

func begin(context.Context, struct{}) (Tx, error)                        { return Tx{}, nil }
func newRepo(context.Context, struct{ Tx Tx }) (Repo, error)             { return Repo{}, nil }
func newAudit(context.Context, struct{ History History }) (Audit, error) { return Audit{}, nil }
func newHistory(context.Context, struct{ Audit Audit }) (History, error) { return History{}, nil }

type joinInput struct {
	User  User
	Room  string `path:"room"`
	Since int    `query:"since" defualt:"0"`
}

type sixConn = wsroute.Conn[string, string]

func join(context.Context, *sixConn, joinInput) error                  { return nil }
func list(context.Context, *sixConn, struct{ Repo Repo }) error        { return nil }
func watch(context.Context, *sixConn, struct{ History History }) error { return nil }

func sixMistakes() error {
	deps := depends.New()
	security.Use(deps, security.JWT[Claims]{
		Keys:   []security.Key{security.HS256([]byte(strings.Repeat("0123456789", 4)))},
		Issuer: "chat",
	})
	depends.Provide(deps, currentUser)
	depends.Provide(deps, begin, depends.Handshake)
	depends.Provide(deps, newRepo)
	depends.Provide(deps, newAudit)
	depends.Provide(deps, newHistory)
	depends.Supply(deps, Settings{})
	depends.Supply(deps, Settings{})

	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/rooms/:room", join)
	wsroute.Handle(ws, "/rooms", list, wsroute.Public)
	wsroute.Handle(ws, "/audit", watch)
	return ws.Mount(gin.New())
}

// Settings is supplied twice.
type Settings struct{}

var position = regexp.MustCompile(`(\w+\.go):\d+`)

func TestSixMistakesAreOneReport(t *testing.T) {
	err := sixMistakes()
	if err == nil {
		t.Fatal("it mounts")
	}
	kinds := map[string]int{}
	for _, each := range err.(interface{ Unwrap() []error }).Unwrap() {
		var w *depends.WiringError
		if errors.As(each, &w) {
			kinds[w.Kind]++
		}
	}
	want := map[string]int{"missing": 1, "cycle": 1, "captive": 1, "ambiguous": 1, "bad tag": 1, "unsafe": 1}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
	golden(t, "testdata/six.txt", position.ReplaceAllString(err.Error(), "$1:N"))
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it\n%s", file, diff)
	}
}

func TestRouteFaults(t *testing.T) {
	type bad struct {
		F func() `json:"f"`
		N int    `validate:"nosuchrule"`
	}
	deps := depends.New()
	ws := wsroute.New(deps, &wsroute.Config{Limits: wsroute.Limits{PingInterval: 9, PongTimeout: 9, WriteTimeout: -1, ReadLimit: -1}, Origins: []string{"chat.example.com", "https://a/b"}, TrustedProxies: []string{"10.0.0.0/99", "proxy"}})
	wsroute.Handle(ws, "/a/:x", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/a/:x", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/a/:y/b", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/a/*rest", echo[string], wsroute.Public)
	wsroute.Handle(ws, "no-slash", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/x/:", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/x/:a/:a", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/x//y", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/x/*all/y", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/x/a:b", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/bad", echo[bad], wsroute.Subprotocols("a b", "ok"), wsroute.Public)
	err := ws.Mount(gin.New())
	if err == nil {
		t.Fatal("it mounts")
	}
	golden(t, "testdata/routes.txt", position.ReplaceAllString(err.Error(), "$1:N"))
}

func TestAConflictWithAForeignRouteIsAWiringFault(t *testing.T) {
	engine := gin.New()
	engine.GET("/a/:x", func(*gin.Context) {})
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/a/:x", echo[string], wsroute.Public)
	var w *depends.WiringError
	if err := ws.Mount(engine); !errors.As(err, &w) || w.Kind != "conflict" || !strings.Contains(err.Error(), "report_test.go") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnusedOverrideIsAFault(t *testing.T) {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	ws.Override(depends.OverrideValue(User{}))
	_, err := ws.Handler()
	if want := "unused override: no provider of wsroute_test.User"; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("got %v", err)
	}
}

// TestTwoOverridesOfATypeAreAFault, in one call or in two.
func TestTwoOverridesOfATypeAreAFault(t *testing.T) {
	first, second := depends.OverrideValue(User{"a"}), depends.OverrideValue(User{"b"})
	for _, calls := range [][][]depends.Replacement{{{first, second}}, {{first}, {second}}} {
		deps := depends.New()
		depends.Supply(deps, User{})
		ws := wsroute.New(deps, nil)
		for _, replacements := range calls {
			ws.Override(replacements...)
		}
		_, err := ws.Handler()
		if want := "unused override: wsroute_test.User is overridden twice"; !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%d calls: %v", len(calls), err)
		}
	}
}

// TestExplainNamesGuards where they stand, and says which is none, or none any more.
func TestExplainNamesGuards(t *testing.T) {
	type client struct{ Addr depends.ClientAddr }
	for want, overrides := range map[string][]depends.Replacement{
		"guarded by  wsroute_test.gate\n":                             nil,
		"guarded by  wsroute_test.gate (overridden)\n":                {depends.OverrideValue(gate{})},
		"guarded by  wsroute_test.gate (which asks a peer nothing)\n": {},
	} {
		deps := depends.New()
		if strings.Contains(want, "nothing") {
			depends.Provide(deps, func(context.Context, none) (gate, error) { return gate{}, nil })
		} else {
			depends.Provide(deps, func(context.Context, client) (gate, error) { return gate{}, nil })
		}
		depends.Provide(deps, func(context.Context, struct{ _ gate }) (member, error) { return member{}, nil })
		ws := wsroute.New(deps, nil)
		wsroute.Handle(ws, "/", func(context.Context, *sixConn, struct{ Who member }) error { return nil }, wsroute.Public)
		ws.Override(overrides...)
		if _, err := ws.Handler(); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := ws.Explain(&out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v: explained as\n%s\nwant %s", err, out.String(), want)
		}
	}
}

// TestASchemeWithParametersIsNotRenewable: a renewal is a credential and nothing else.
func TestASchemeWithParametersIsNotRenewable(t *testing.T) {
	for _, alternatives := range [][]string{nil, {"Session"}} { // of security.OneOf with one alone
		deps := depends.New()
		scheme := depends.Scheme{Name: "Session", Challenge: "Session", Params: []string{"csrf_token"}, Sources: []depends.Source{{In: "query", Name: "sid"}}}
		scheme.Alternatives = alternatives
		provideScheme(deps, scheme, func(context.Context, depends.Credential) (member, error) { return member{}, nil })
		ws := wsroute.New(deps, nil)
		wsroute.Handle(ws, "/", func(context.Context, *sixConn, struct{ Who member }) error { return nil }, wsroute.Renewable)
		_, err := ws.Handler()
		want := "bad route: GET / is Renewable, and Session reads csrf_token beside its credential, which no renewal has"
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("with %q it starts: %v", alternatives, err)
		}
	}
}

func TestExplain(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	depends.Provide(deps, func(context.Context, struct {
		Who depends.Optional[who]
		N   int `query:"n" default:"1" validate:"gte=0"`
	},
	) (gate, error) {
		return gate{}, nil
	}, depends.Handshake)
	ws := wsroute.New(deps, nil)
	group := ws.Group("/g", wsroute.Require[gate]())
	wsroute.Handle(group, "/:room", func(context.Context, *sixConn, struct {
		Room string `path:"room"`
	},
	) error {
		return nil
	}, wsroute.Diagnose, wsroute.Subprotocols("v1", "v2"))
	wsroute.Handle(ws, "/me", func(context.Context, *wsroute.Conn[say, wsroute.Message], struct {
		Who  who
		Skip []string `query:"skip"`
		_    gate
	},
	) error {
		return nil
	})
	wsroute.Handle(ws, "/open", echo[string], wsroute.Public, wsroute.Calls(wsroute.NewCall(
		func(context.Context, int, struct{ Who who }) (string, error) { return "", nil }, wsroute.Require[who](), wsroute.Within(time.Second),
	)), wsroute.Require[who]())
	c := wsroute.HandleMessages(ws, "/c", events, wsroute.Public)
	wsroute.Answer(c, "say", sayBack, wsroute.Concurrent(2))
	wsroute.OnBinary(c, func(context.Context, []byte, struct{}) error { return nil })
	if err := ws.Mount(gin.New().Group("/ws")); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := ws.Explain(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/explain.txt", position.ReplaceAllString(b.String(), "$1:N"))
}

func TestPanicsAtRegistrationNameTheirPlace(t *testing.T) {
	deps := depends.New()
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"nil handler":             func() { wsroute.Handle[string, string, none](wsroute.New(depends.New(), nil), "/", nil) },
		"a route after Mount":     func() { wsroute.Handle(ws, "/late", echo[string]) },
		"Provide after Mount":     func() { depends.Provide(deps, begin) },
		"Supply after Mount":      func() { depends.Supply(deps.Child(), User{}) },
		"a scheme after Mount":    func() { bearer(deps) },
		"an override after Mount": func() { ws.Group("/g").Override(depends.OverrideValue(User{})) },
		"an override of another router's mounted graph": func() {
			wsroute.New(deps, nil).Override(depends.OverrideValue(User{}))
		},
		"a nil router":   func() { _ = wsroute.New(depends.New(), nil).Mount(nil) },
		"a second start": func() { wstest.Start(t, ws) },
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !position.MatchString(got) {
					t.Errorf("%s: got %q", name, got)
				}
			}()
			f()
		}()
	}
}
