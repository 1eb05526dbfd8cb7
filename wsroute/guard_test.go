package wsroute_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// What a guard must not be: a value that says yes or no.
type (
	isAdmin   bool
	mayEnter  isAdmin
	refusal   string
	badThing  struct{}
	anyReason interface{ error }
)

func (refusal) Error() string   { return "refused" }
func (*badThing) Error() string { return "refused" }

// verdictOf provides a value from a parameter, so that nothing else is wrong with the guard.
func verdictOf[T any](deps *depends.Graph, value T) {
	type named struct {
		Name string `query:"name"`
	}
	depends.Provide(deps, func(context.Context, named) (T, error) { return value, nil })
}

// TestAGuardThatSaysNoByItsValueDoesNotStart. The kind: a value that means a refusal stands
// where no value is taken, and so lets everybody pass.
func TestAGuardThatSaysNoByItsValueDoesNotStart(t *testing.T) {
	no := isAdmin(false)
	for name, test := range map[string]struct {
		provide func(*depends.Graph)
		add     func(*wsroute.Router)
		guard   string
	}{
		"a bool":                   {func(g *depends.Graph) { verdictOf(g, no) }, opens[struct{ _ isAdmin }](), "wsroute_test.isAdmin"},
		"a bool of a bool":         {func(g *depends.Graph) { verdictOf[mayEnter](g, false) }, opens[struct{ _ mayEnter }](), "wsroute_test.mayEnter"},
		"a pointer to one":         {func(g *depends.Graph) { verdictOf(g, &no) }, opens[struct{ _ *isAdmin }](), "*wsroute_test.isAdmin"},
		"Require":                  {func(g *depends.Graph) { verdictOf(g, no) }, opens[none](wsroute.Require[isAdmin]()), "wsroute_test.isAdmin"},
		"an error":                 {func(g *depends.Graph) { verdictOf[refusal](g, "no") }, opens[struct{ _ refusal }](), "wsroute_test.refusal"},
		"an error by its pointer":  {func(g *depends.Graph) { verdictOf(g, badThing{}) }, opens[struct{ _ badThing }](), "wsroute_test.badThing"},
		"an interface of errors":   {func(g *depends.Graph) { verdictOf[anyReason](g, refusal("no")) }, opens[struct{ _ anyReason }](), "wsroute_test.anyReason"},
		"a Rejection":              {func(g *depends.Graph) { verdictOf(g, depends.Forbidden("x", nil)) }, opens[struct{ _ *depends.Rejection }](), "*depends.Rejection"},
		"a field of plain HTTP":    {func(g *depends.Graph) { verdictOf(g, no) }, plain[struct{ _ isAdmin }], "wsroute_test.isAdmin"},
		"a group's":                {func(g *depends.Graph) { verdictOf(g, no) }, func(r *wsroute.Router) { opens[none]()(r.Group("/x", wsroute.Require[isAdmin]())) }, "wsroute_test.isAdmin"},
		"a provider's":             {verdictOfAnother, opens[struct{ Who member }](wsroute.Public), "wsroute_test.isAdmin"},
		"a value that is no guard": {func(g *depends.Graph) { verdictOf(g, no) }, opens[struct{ Is isAdmin }](wsroute.Public), ""},
		"a struct":                 {func(g *depends.Graph) { verdictOf(g, gate{}) }, opens[struct{ _ gate }](), ""},
		"a pointer":                {func(g *depends.Graph) { verdictOf(g, &gate{}) }, opens[struct{ _ *gate }](), ""},
	} {
		t.Run(name, func(t *testing.T) {
			deps := depends.New()
			test.provide(deps)
			ws := wsroute.New(deps, quiet())
			test.add(ws)
			wantUnsafe(t, ws.Mount(gin.New()), test.guard, "a guard's value is not taken", "return depends.Forbidden")
		})
	}
}

// plain registers a plain request with an input.
func plain[In any](r *wsroute.Router) {
	wsroute.HandleHTTP(r, http.MethodGet, "/http", func(http.ResponseWriter, *http.Request, In) error { return nil })
}

// verdictOfAnother provides a member that is guarded by a bool.
func verdictOfAnother(g *depends.Graph) {
	verdictOf(g, isAdmin(false))
	depends.Provide(g, func(context.Context, struct{ _ isAdmin }) (member, error) { return member{}, nil })
}

// wantUnsafe wants one fault about a guard, or none.
func wantUnsafe(t *testing.T, err error, guard string, texts ...string) {
	t.Helper()
	if guard == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	var bad *depends.WiringError
	if !errors.As(err, &bad) || bad.Kind != "unsafe" || !strings.HasPrefix(bad.Fact, guard+" ") || len(bad.Path) == 0 {
		t.Fatalf("got %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(bad.Fact+"\n"+bad.Hint, text) {
			t.Errorf("no %q in %v", text, bad)
		}
	}
}

// TestAGuardThatIsThereBeforeAnyRequestDoesNotStart. The kind: a guard that cannot refuse,
// since its value is made without a peer.
func TestAGuardThatIsThereBeforeAnyRequestDoesNotStart(t *testing.T) {
	made := func(context.Context, none) (gate, error) { return gate{}, nil }
	type migrated struct{}
	app := func(g *depends.Graph) { depends.Provide(g, made, depends.App) }
	for name, test := range map[string]struct {
		provide func(*depends.Graph)
		add     func(*wsroute.Router)
		guard   string
	}{
		"Supply":                {func(g *depends.Graph) { depends.Supply(g, gate{}) }, opens[struct{ _ gate }](wsroute.Public), "wsroute_test.gate"},
		"an App provider":       {app, opens[struct{ _ gate }](wsroute.Public), "wsroute_test.gate"},
		"Require":               {app, opens[none](wsroute.Require[gate](), wsroute.Public), "wsroute_test.gate"},
		"a field of plain HTTP": {app, plain[struct{ _ gate }], "wsroute_test.gate"},
		"a provider's": {func(g *depends.Graph) {
			app(g)
			depends.Provide(g, func(context.Context, struct{ _ gate }) (member, error) { return member{}, nil })
		}, opens[struct{ Who member }](wsroute.Public), "wsroute_test.gate"},
		"a guard of an App provider": {func(g *depends.Graph) {
			app(g)
			depends.Provide(g, func(context.Context, struct{ _ gate }) (migrated, error) { return migrated{}, nil }, depends.App)
		}, opens[struct{ Done migrated }](wsroute.Public), ""},
		"a value that is no guard": {app, opens[struct{ Gate gate }](wsroute.Public), ""},
	} {
		t.Run(name, func(t *testing.T) {
			deps := depends.New()
			test.provide(deps)
			ws := wsroute.New(deps, quiet())
			test.add(ws)
			wantUnsafe(t, ws.Mount(gin.New()), test.guard, "(App)", "refuses nobody", "drop the guard")
		})
	}
	t.Run("overridden", func(t *testing.T) { // in a test alone
		deps := depends.New()
		verdictOf(deps, gate{})
		ws := wsroute.New(deps, quiet())
		opens[struct{ _ gate }]()(ws)
		wstest.Start(t, ws, depends.OverrideValue(gate{}))
	})
}

// TestAGuardThatAsksAPeerNothingIsNamed, by Mount in the log and by Explain: it cannot tell one
// peer from another.
func TestAGuardThatAsksAPeerNothingIsNamed(t *testing.T) {
	type (
		flag   struct{}
		ofApp  struct{ Flag flag }
		deeper struct{ At timeOfDay }
	)
	for name, test := range map[string]struct {
		provide func(*depends.Graph)
		blind   bool
	}{
		"nothing": {func(g *depends.Graph) {
			depends.Provide(g, func(context.Context, none) (gate, error) { return gate{}, nil })
		}, true},
		"App values": {func(g *depends.Graph) {
			depends.Provide(g, func(context.Context, ofApp) (gate, error) { return gate{}, nil })
		}, true},
		"a clock": {func(g *depends.Graph) {
			depends.Provide(g, func(context.Context, deeper) (gate, error) { return gate{}, nil })
		}, true},
		"only Optionals": {func(g *depends.Graph) {
			depends.Provide(g, func(context.Context, struct{ H depends.Optional[keyHolder] }) (gate, error) { return gate{}, nil })
		}, true},
		"a parameter": {func(g *depends.Graph) { verdictOf(g, gate{}) }, false},
		"the request": {func(g *depends.Graph) {
			depends.Provide(g, func(context.Context, struct{ R *http.Request }) (gate, error) { return gate{}, nil })
		}, false},
		"a scheme": {func(g *depends.Graph) {
			depends.Provide(g, func(context.Context, struct{ R reader }) (gate, error) { return gate{}, nil })
		}, false},
		"gin": {func(g *depends.Graph) {
			depends.Provide(g, func(context.Context, struct{ G fromGin }) (gate, error) { return gate{}, nil })
		}, false},
		"a guarded value": {func(g *depends.Graph) {
			depends.Provide(g, func(context.Context, struct{ _ fromHeader }) (gate, error) { return gate{}, nil })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var log safeBuffer
			deps := someGuards()
			depends.Supply(deps, flag{})
			test.provide(deps)
			ws := wsroute.New(deps, &wsroute.Config{Logger: textLogger(&log)})
			opens[struct{ _ gate }](wsroute.Public)(ws)
			opens[none](wsroute.Require[gate](), wsroute.Public)(ws.Group("/more"))
			if err := ws.Mount(gin.New()); err != nil {
				t.Fatal(err)
			}
			var page strings.Builder
			if err := ws.Explain(&page); err != nil {
				t.Fatal(err)
			}
			want := 0
			if test.blind {
				want = 1
			}
			if n := strings.Count(log.String(), "level=WARN"); n != want || n > 0 && !strings.Contains(log.String(), "a guard asks a peer nothing") {
				t.Errorf("%d warnings, want %d:\n%s", n, want, log.String())
			}
			if got := strings.Count(page.String(), "gate (which asks a peer nothing)"); got != 2*want {
				t.Errorf("explained as\n%s", page.String())
			}
		})
	}
}
