package wsroute_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// What may stand behind a field: a key that a scheme reads, what needs that, a value of gin
// middleware, and providers that read the request or do not.
type (
	keyHolder  struct{ Name string }
	reader     struct{ Name string }
	fromGin    struct{}
	fromHeader struct{}
	fromClient struct{}
	timeOfDay  struct{}
	perhaps    struct{}
)

// someGuards provides them.
func someGuards() *depends.Graph {
	deps := depends.New()
	security.Use(deps, security.APIKey[keyHolder]{
		Sources: []depends.Source{security.Header("X-Key")},
		Find: func(context.Context, [32]byte) (keyHolder, error) {
			return keyHolder{"alice"}, nil
		},
	})
	type ofKey struct{ Holder keyHolder }
	depends.Provide(deps, func(_ context.Context, in ofKey) (reader, error) { return reader(in.Holder), nil })
	wsroute.FromGin(deps, func(*gin.Context) (fromGin, error) { return fromGin{}, nil })
	type header struct {
		Team string `header:"X-Team"`
	}
	depends.Provide(deps, func(_ context.Context, in header) (fromHeader, error) {
		if in.Team != "blue" {
			return fromHeader{}, depends.Forbidden("other_team", nil)
		}
		return fromHeader{}, nil
	})
	type client struct{ Addr depends.ClientAddr }
	depends.Provide(deps, func(context.Context, client) (fromClient, error) { return fromClient{}, nil })
	depends.Provide(deps, func(context.Context, none) (timeOfDay, error) { return timeOfDay{}, nil })
	type optional struct{ Holder depends.Optional[keyHolder] }
	depends.Provide(deps, func(context.Context, optional) (perhaps, error) { return perhaps{}, nil })
	return deps
}

// opens registers a route with an input.
func opens[In any](options ...wsroute.RouteOption) func(*wsroute.Router) {
	return func(r *wsroute.Router) {
		type conn = wsroute.Conn[string, string]
		wsroute.Handle(r, "/ws", func(context.Context, *conn, In) error { return nil }, options...)
	}
}

// TestARouteThatAuthenticatesNobodyDoesNotStart, for a guard that was forgotten must not open
// a socket to everybody. The kind: nothing that the route cannot do without asks a peer who it
// is.
func TestARouteThatAuthenticatesNobodyDoesNotStart(t *testing.T) {
	type (
		ofScheme       struct{ Holder keyHolder }
		ofReader       struct{ Reader reader }
		ofGin          struct{ Gin fromGin }
		liveReader     struct{ Reader depends.Live[reader] }
		embedded       struct{ ofReader }
		guarded        struct{ _ fromHeader }
		guardedByAddr  struct{ _ fromClient }
		ofHeader       struct{ Value fromHeader } // may be no more than a setting
		ofRequest      struct{ Request *http.Request }
		guardedByTime  struct{ _ timeOfDay }
		guardedPerhaps struct{ _ perhaps }
		optionalScheme struct{ Holder depends.Optional[keyHolder] }
		optionalReader struct{ Reader depends.Optional[reader] }
		optionalGin    struct{ Gin depends.Optional[fromGin] }
	)
	for name, test := range map[string]struct {
		add  func(*wsroute.Router)
		open bool
	}{
		"nothing":                       {opens[none](), true},
		"a value that is no guard":      {opens[ofHeader](), true},
		"the request":                   {opens[ofRequest](), true},
		"a guard that asks nothing":     {opens[guardedByTime](), true},
		"a guard of optional needs":     {opens[guardedPerhaps](), true},
		"Require of optional needs":     {opens[none](wsroute.Require[perhaps]()), true},
		"an optional scheme":            {opens[optionalScheme](), true},
		"an optional scheme, deeper":    {opens[optionalReader](), true},
		"an optional value of gin":      {opens[optionalGin](), true},
		"a scheme":                      {opens[ofScheme](), false},
		"a scheme, deeper":              {opens[ofReader](), false},
		"a scheme, live":                {opens[liveReader](), false},
		"a scheme, embedded":            {opens[embedded](), false},
		"a scheme beside optional":      {opens[optionalScheme](wsroute.Require[reader]()), false},
		"a value of gin":                {opens[ofGin](), false},
		"a guard that reads a header":   {opens[guarded](), false},
		"a guard that reads the client": {opens[guardedByAddr](), false},
		"Require":                       {opens[none](wsroute.Require[fromHeader]()), false},
		"Require of a scheme":           {opens[none](wsroute.Require[keyHolder]()), false},
		"Public":                        {opens[optionalScheme](wsroute.Public), false},
		"Public with a guard":           {opens[guarded](wsroute.Public), false},
		"a group that is Public": {func(r *wsroute.Router) {
			opens[none]()(r.Group("/open", wsroute.Public).Group("/more"))
		}, false},
		"beside a group that is guarded": {func(r *wsroute.Router) {
			opens[none]()(r.Group("/members", wsroute.Require[reader]()))
			opens[none]()(r)
		}, true},
		"beside a group that is Public": {func(r *wsroute.Router) {
			opens[none]()(r.Group("/open", wsroute.Public))
			opens[none]()(r)
		}, true},
		"plain HTTP": {func(r *wsroute.Router) {
			wsroute.HandleHTTP(r, http.MethodGet, "/ws", func(http.ResponseWriter, *http.Request, none) error { return nil })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ws := wsroute.New(someGuards(), quiet())
			test.add(ws)
			err := ws.Mount(gin.New())
			if !test.open {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var bad *depends.WiringError
			if !errors.As(err, &bad) || bad.Kind != "unsafe" || bad.Route != "GET /ws" ||
				!strings.Contains(bad.Fact, "GET /ws authenticates nobody") ||
				!strings.Contains(bad.Hint, "wsroute.Require") || !strings.Contains(bad.Hint, "wsroute.Public") {
				t.Errorf("got %v", err)
			}
			if joined, _ := err.(interface{ Unwrap() []error }); joined != nil && len(joined.Unwrap()) != 1 {
				t.Errorf("more than one fault: %v", err)
			}
		})
	}
}

// TestAFaultThatHidesAGuardIsToldAlone: whether a route authenticates is not known while a
// field of it, or of what it needs, cannot be read.
func TestAFaultThatHidesAGuardIsToldAlone(t *testing.T) {
	type unknown struct{}
	for name, add := range map[string]func(*wsroute.Router){
		"missing": opens[struct{ _ unknown }](),
		"bad tag": opens[struct {
			_ fromHeader `depend:"fresh"`
		}](),
		"no input": opens[*struct{ _ fromHeader }](),
	} {
		ws := wsroute.New(someGuards(), quiet())
		add(ws)
		if err := ws.Mount(gin.New()); err == nil || strings.Contains(err.Error(), "authenticates nobody") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestAnOverrideAuthenticatesAsWhatItReplaces, so that a test mounts the routes of the program
// as they are: no more are open, and no fewer.
func TestAnOverrideAuthenticatesAsWhatItReplaces(t *testing.T) {
	type (
		all struct {
			Reader reader
			Holder keyHolder
		}
		guard   struct{ _ fromHeader }
		ofKey   struct{ Holder keyHolder }
		ofGin   struct{ Gin fromGin }
		ofGuess struct{ _ timeOfDay }
	)
	overridden := func(context.Context, none) (reader, error) { return reader{"bob"}, nil }
	for name, test := range map[string]struct {
		add      func(*wsroute.Router)
		override depends.Replacement
	}{
		"a scheme":             {opens[ofKey](), depends.OverrideValue(keyHolder{"bob"})},
		"before a scheme":      {opens[struct{ _ reader }](), depends.OverrideValue(reader{"bob"})},
		"by a function":        {opens[struct{ Reader reader }](), depends.Override(overridden)},
		"of two":               {opens[all](), depends.OverrideValue(reader{"bob"})},
		"a guard":              {opens[guard](), depends.OverrideValue(fromHeader{})},
		"a value of gin":       {opens[ofGin](), depends.OverrideValue(fromGin{})},
		"a renewable scheme":   {opens[ofKey](wsroute.Renewable), depends.OverrideValue(keyHolder{"bob"})},
		"a scheme, by Require": {opens[none](wsroute.Require[keyHolder]()), depends.OverrideValue(keyHolder{})},
	} {
		t.Run(name, func(t *testing.T) {
			ws := wsroute.New(someGuards(), quiet())
			test.add(ws)
			wstest.Start(t, ws, test.override)
		})
	}
	ws := wsroute.New(someGuards(), quiet())
	opens[ofGuess]()(ws)
	ws.Override(depends.Override(func(context.Context, struct{ H keyHolder }) (timeOfDay, error) { return timeOfDay{}, nil }))
	if _, err := ws.Handler(); err == nil || !strings.Contains(err.Error(), "authenticates nobody") {
		t.Errorf("an override made a guard of what is none: %v", err)
	}
}
