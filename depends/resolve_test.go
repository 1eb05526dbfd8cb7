package depends_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
)

type none = struct{}

// Letters are dependencies that record when they are made and released.
type (
	a struct{ n int }
	b struct{ n int }
	c struct{ n int }
	d struct{ n int }
)

type journal struct{ lines []string }

func (j *journal) add(format string, args ...any) {
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) want(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(j.lines, " "); got != want {
		t.Errorf("journal\n got %q\nwant %q", got, want)
	}
}

// maker returns a provider that counts, journals and cleans up.
func maker[In, Out any](j *journal, name string, value func(n int) Out) func(context.Context, In) (Out, error) {
	n := 0
	return func(ctx context.Context, _ In) (Out, error) {
		n++
		made := fmt.Sprintf("%s%d", name, n)
		j.add("+%s", made)
		depends.Cleanup(ctx, func(_ context.Context, cause error) error {
			if cause != nil {
				j.add("-%s(%v)", made, cause)
			} else {
				j.add("-%s", made)
			}
			return nil
		})
		return value(n), nil
	}
}

func TestOrderIsDepthFirstInFieldOrder(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	depends.Provide(deps, maker[struct {
		C c
		B b
	}](j, "a", func(n int) a { return a{n} }))
	depends.Provide(deps, maker[struct{ C c }](j, "b", func(n int) b { return b{n} }))
	depends.Provide(deps, maker[none](j, "c", func(n int) c { return c{n} }))
	depends.Provide(deps, maker[none](j, "d", func(n int) d { return d{n} }))
	type in struct {
		A a
		B b
		_ d
	}
	p := mustMount(t, deps, to[in](deps, "/", reflect.TypeFor[d]()))[0]
	got, v, err := resolve[in](t, p, "/")
	if err != nil || got.A.n != 1 || got.B.n != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	v.end(nil)
	j.want(t, "+d1 +c1 +b1 +a1 -a1 -b1 -c1 -d1")
}

func TestFreshSeedsTheCacheAndDoesNotReadIt(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	depends.Provide(deps, maker[none](j, "a", func(n int) a { return a{n} }))
	type in struct {
		One   a `depends:"fresh"`
		Two   a
		Three a `depends:"fresh"`
		Four  a
	}
	got, v, err := resolve[in](t, mustMount(t, deps, to[in](deps, "/"))[0], "/")
	if err != nil {
		t.Fatal(err)
	}
	if want := (in{a{1}, a{1}, a{2}, a{1}}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	v.end(errors.New("gone"))
	j.want(t, "+a1 +a2 -a2(gone) -a1(gone)")
}

func TestLifetimes(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	depends.Provide(deps, maker[none](j, "app", func(n int) a { return a{n} }), depends.App)
	depends.Provide(deps, maker[struct{ A a }](j, "hs", func(n int) b { return b{n} }), depends.Handshake)
	depends.Provide(deps, maker[struct {
		B b `depends:"handshake-only"`
	}](j, "conn", func(n int) c { return c{n} }))
	type in struct {
		A a
		C c
		_ b
	}
	p := mustMount(t, deps, to[in](deps, "/"))[0]
	for want := 1; want <= 2; want++ {
		got, v, err := resolve[in](t, p, "/")
		if err != nil || got.A.n != 1 || got.C.n != want {
			t.Fatalf("got %+v, %v", got, err)
		}
		v.end(nil)
	}
	if err := deps.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := deps.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.want(t, "+app1 +hs1 +conn1 -hs1 -conn1 +hs2 +conn2 -hs2 -conn2 -app1")
}

// loaded is a provider for any model that has a table.
type loaded[T any] struct{ row T }

type table[T any] map[string]T

func load[T any](_ context.Context, in struct {
	ID    string `query:"id"`
	Table table[T]
},
) (loaded[T], error) {
	row, ok := in.Table[in.ID]
	if !ok {
		return loaded[T]{}, depends.NotFound("no_such_row", nil)
	}
	return loaded[T]{row}, nil
}

// TestGenericProviders: one generic function provides several types, each a key of its own.
func TestGenericProviders(t *testing.T) {
	deps := depends.New()
	depends.Supply(deps, table[int]{"x": 7})
	depends.Supply(deps, table[string]{"x": "seven"})
	depends.Provide(deps, load[int])
	depends.Provide(deps, load[string])
	type in struct {
		Number loaded[int]
		Name   loaded[string]
	}
	p := mustMount(t, deps, to[in](deps, "/"))[0]
	got, v, err := resolve[in](t, p, "/?id=x")
	if err != nil || got.Number.row != 7 || got.Name.row != "seven" {
		t.Errorf("got %+v, %v", got, err)
	}
	v.end(nil)
	if _, _, err = resolve[in](t, p, "/?id=y"); err == nil || !strings.Contains(err.Error(), "no_such_row") {
		t.Errorf("got %v", err)
	}
}

// TestTheContextOfAnApp: a context ends with the lifetime that it belongs to. What an App
// provider has started sees the end, and its cleanup can wait for it.
func TestTheContextOfAnApp(t *testing.T) {
	work := func(ctx context.Context, ended *error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-ctx.Done()
			*ended = ctx.Err()
		}()
		depends.Cleanup(ctx, func(cleanup context.Context, _ error) error {
			select {
			case <-done:
				return cleanup.Err()
			case <-cleanup.Done():
				return errors.New("the context did not end")
			}
		})
	}
	for _, end := range []string{"Close", "a provider fails"} {
		t.Run(end, func(t *testing.T) {
			var first, second error
			deps := depends.New()
			depends.Provide(deps, func(ctx context.Context, _ none) (a, error) {
				work(ctx, &first)
				return a{}, nil
			}, depends.App)
			depends.Provide(deps.Child(), func(ctx context.Context, _ struct{ A a }) (b, error) {
				work(ctx, &second)
				return b{}, ctx.Err()
			}, depends.App)
			if end != "Close" {
				depends.Provide(deps, func(context.Context, none) (c, error) {
					return c{}, errors.New("boom")
				}, depends.App)
				if _, err := mount(deps, to[none](deps, "/")); err == nil {
					t.Fatal("it started")
				}
			} else {
				mustMount(t, deps, to[none](deps, "/"))
				if first != nil || second != nil {
					t.Fatalf("ended early: %v, %v", first, second)
				}
				if err := deps.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if !errors.Is(first, context.Canceled) || !errors.Is(second, context.Canceled) {
				t.Errorf("got %v and %v", first, second)
			}
		})
	}
}

func TestAFailedAppProviderUndoesTheOthers(t *testing.T) {
	j := &journal{}
	boom := errors.New("boom")
	deps := depends.New()
	depends.Provide(deps, maker[none](j, "a", func(n int) a { return a{n} }), depends.App)
	depends.Provide(deps, func(context.Context, struct{ A a }) (b, error) { return b{}, boom }, depends.App)
	_, err := mount(deps, to[none](deps, "/"))
	var wiring *depends.WiringError
	if !errors.Is(err, boom) || !errors.As(err, &wiring) || wiring.Kind != "failed" {
		t.Fatalf("got %v", err)
	}
	j.want(t, "+a1 -a1(boom)")
}

func TestChildAddsAndIsSeenByItsOwnRoutesAlone(t *testing.T) {
	deps := depends.New()
	depends.Supply(deps, a{1})
	child := deps.Child()
	depends.Provide(child, func(_ context.Context, in struct{ A a }) (b, error) { return b{in.A.n + 1}, nil })
	type in struct {
		A a
		B b
	}
	got, _, err := resolve[in](t, mustMount(t, deps, to[in](child, "/"))[0], "/")
	if err != nil || got.B.n != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := mount(deps, to[in](deps, "/")); err == nil || !strings.Contains(err.Error(), "for a group that this place is not in") {
		t.Errorf("got %v", err)
	}
}

func TestOptionalCoversAbsenceAlone(t *testing.T) {
	bad := errors.New("bad token")
	outcome := error(nil)
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (a, error) { return a{1}, outcome })
	depends.Provide(deps, func(_ context.Context, in struct{ A a }) (b, error) { return b{in.A.n + 1}, nil })
	depends.Supply(deps, c{3})
	type in struct {
		B depends.Optional[b]
		C depends.Optional[c]
	}
	p := mustMount(t, deps, to[in](deps, "/"))[0]
	for _, test := range []struct {
		outcome error
		want    depends.Optional[b]
		err     error
	}{
		{nil, depends.Optional[b]{Value: b{2}, OK: true}, nil},
		{fmt.Errorf("no cookie: %w", depends.ErrAbsent), depends.Optional[b]{}, nil},
		{bad, depends.Optional[b]{}, bad},
	} {
		outcome = test.outcome
		got, _, err := resolve[in](t, p, "/")
		if !errors.Is(err, test.err) || got.B != test.want {
			t.Errorf("%v: got %+v, %v", test.outcome, got, err)
		}
		if err == nil && got.C != (depends.Optional[c]{Value: c{3}, OK: true}) {
			t.Errorf("a supplied value is absent: %+v", got.C)
		}
	}
	// Somebody who needs it makes its absence a refusal again.
	type strict struct {
		B depends.Optional[b]
		A a
	}
	outcome = depends.ErrAbsent
	if _, _, err := resolve[strict](t, mustMount(t, deps, to[strict](deps, "/"))[0], "/"); !errors.Is(err, depends.ErrAbsent) {
		t.Errorf("got %v", err)
	}
}

func TestEmbeddedStructsAreLaidFlat(t *testing.T) {
	deps := depends.New()
	depends.Supply(deps, a{7})
	got, _, err := resolve[pageInput](t, mustMount(t, deps, to[pageInput](deps, "/"))[0], "/?limit=5")
	if err != nil || got.Limit != 5 || got.A.n != 7 || got.Offset != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
}

type paging struct {
	Limit  int `query:"limit" validate:"lte=100"`
	Offset int `query:"offset" default:"2"`
}

type pageInput struct {
	paging
	withA
}

type withA struct{ A a }

func TestTheRequestIsASanitisedSnapshot(t *testing.T) {
	deps := depends.New()
	provideScheme(deps, depends.Scheme{
		Name: "test", Challenge: "Bearer",
		Sources: []depends.Source{{In: "header", Name: "authorization", Prefix: "Bearer"}, {In: "query", Name: "token"}},
	}, func(_ context.Context, c depends.Credential) (a, error) { return a{len(c.Value)}, nil })
	type in struct {
		A       a
		Request *http.Request
		Other   *http.Request
	}
	p := mustMount(t, deps, to[in](deps, "/x/:id"))[0]
	got, _, err := resolve[in](t, p, "/x/9?q=1&%74oken=abc&z=%20", "X-Kept", "yes")
	if err != nil || got.A.n != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	r := got.Request
	if r.URL.RawQuery != "q=1&z=%20" || r.RequestURI != "/x/9?q=1&z=%20" || r.PathValue("id") != "9" || r.Header.Get("X-Kept") != "yes" {
		t.Errorf("got %v %v %v %v", r.URL, r.RequestURI, r.PathValue("id"), r.Header)
	}
	r.Header.Set("X-Kept", "no")
	if got.Other.Header.Get("X-Kept") != "yes" {
		t.Error("two snapshots share their headers")
	}
	got, _, err = resolve[in](t, p, "/x/9", "Authorization", "bEARER   abcd ", "Authorization", "Basic x")
	if err != nil || got.A.n != 4 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"Basic x"}, got.Request.Header["Authorization"]); diff != "" {
		t.Error(diff)
	}
	for name, test := range map[string]struct {
		target  string
		headers []string
		status  int
		want    string
	}{
		"none":        {"/x/9", nil, 401, "Bearer"},
		"empty":       {"/x/9?token=", []string{"Authorization", "Bearer "}, 401, "Bearer"},
		"two sources": {"/x/9?token=a", []string{"Authorization", "Bearer b"}, 400, `Bearer error="invalid_request"`},
		"two values":  {"/x/9?token=a&token=a", nil, 400, `Bearer error="invalid_request"`},
	} {
		_, _, err := resolve[in](t, p, test.target, test.headers...)
		var r *depends.Rejection
		if !errors.As(err, &r) || r.Status != test.status || r.Header.Get("WWW-Authenticate") != test.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNilWithoutAnErrorIsAnError(t *testing.T) {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (*a, error) { return nil, nil })
	type in struct{ A *a }
	_, _, err := resolve[in](t, mustMount(t, deps, to[in](deps, "/"))[0], "/")
	if err == nil || !strings.Contains(err.Error(), "nil without an error") {
		t.Errorf("got %v", err)
	}
}

// TestObserve: a scheme outside of a connection tells its caller identity and expiry.
func TestObserve(t *testing.T) {
	ctx, said := depends.Observe(t.Context())
	depends.Identify(ctx, depends.Identity{Issuer: "i", Subject: "ada"})
	depends.Identify(ctx, depends.Identity{Session: "s"})
	soon := time.Unix(1_800_000_000, 0)
	depends.ValidUntil(ctx, soon.Add(time.Hour))
	depends.ValidUntil(ctx, soon)
	depends.ValidUntil(ctx, time.Time{}) // as of a credential without an expiry
	if who, until := said(); who != (depends.Identity{Issuer: "i", Subject: "ada", Session: "s"}) || !until.Equal(soon) {
		t.Errorf("got %+v until %v", who, until)
	}
	depends.Identify(context.Background(), depends.Identity{Subject: "nobody"}) // goes nowhere
}
