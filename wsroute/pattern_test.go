package wsroute_test

import (
	"testing"

	"example.com/usher/wsroute"
)

func TestPathsOfRoutes(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"/", "/", true},
		{"/", "/a", false},
		{"/a", "/a", true},
		{"/a", "/a/", false},
		{"/a/", "/a/", true},
		{"/a/:x", "/a/b", true},
		{"/a/:x", "/a/", false},
		{"/a/:x", "/a/b/c", false},
		{"/a/:x/c", "/a/b/c", true},
		{"/a/*rest", "/a/", true},
		{"/a/*rest", "/a/b/c", true},
		{"/a/*rest", "/a", false},
		{"/a", "", false},
	} {
		if got := wsroute.Matches(test.pattern, test.path); got != test.want {
			t.Errorf("%s matches %q: %v", test.pattern, test.path, got)
		}
	}
}
