package security_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/security"
)

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
