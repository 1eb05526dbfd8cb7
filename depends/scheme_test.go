package depends_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/usher/depends"
)

// TestFindCredential is what a plain HTTP handler asks for.
func TestFindCredential(t *testing.T) {
	scheme := depends.Scheme{Name: "s", Challenge: "S", Sources: []depends.Source{{In: "cookie", Name: "c"}, {In: "query", Name: "q"}}}
	for target, want := range map[string]string{"/": "none", "/?q=a": "a", "/?q=a&q=b": "400", "/?%zz": "400"} {
		c, err := depends.FindCredential(httptest.NewRequest(http.MethodPost, target, nil), scheme)
		got := c.Value
		if r, ok := errors.AsType[*depends.Rejection](err); ok {
			got = fmt.Sprint(r.Status)
		}
		if errors.Is(err, depends.ErrAbsent) {
			got = "none"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
	if c, err := depends.FindCredential(httptest.NewRequest(http.MethodGet, "/x?q=a", nil), scheme); err != nil || c.Request().URL.Path != "/x" || strings.Contains(fmt.Sprint(c), "a]") {
		t.Errorf("%v %v", c, err)
	}
}
