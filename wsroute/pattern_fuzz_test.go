package wsroute

import (
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// FuzzPattern: gin takes what parsePattern takes, and the values of a path put back into its
// pattern are the path.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{
		"/", "/a", "/a/", "/:a", "/a/:b/c", "/a/:b/:c", "/a/*rest", "/*rest", "/a//b", "/a:b", "/:",
		"/*", "/:a/:a", "/*a/b", "a", "", "/a{b}", "/a?b", "/:é", "/a\\:b", "/a\\b",
	} {
		for _, path := range []string{"/", "/a", "/a/x/c", "/a//c"} {
			f.Add(pattern, path)
		}
	}
	gin.SetMode(gin.ReleaseMode)
	f.Fuzz(func(t *testing.T, pattern, path string) {
		segments, fault := parsePattern(pattern)
		if fault != "" {
			return
		}
		func() {
			defer func() {
				if v := recover(); v != nil {
					t.Fatalf("gin does not take %q: %v", pattern, v)
				}
			}()
			gin.New().GET(pattern, func(*gin.Context) {})
		}()
		if clash(segments, segments) == "" {
			t.Errorf("%q does not clash with itself", pattern)
		}
		if !matches(segments, strings.Split(path, "/")) {
			return
		}
		values := (&endpoint{segments: segments}).pathValues(path)
		var back strings.Builder
		for _, s := range segments[1:] {
			back.WriteByte('/')
			if s.kind == 0 {
				back.WriteString(s.text)
				continue
			}
			if values[0].Name != s.text || s.kind == ':' && values[0].Value == "" {
				t.Fatalf("%q, %q: %q is %+v", pattern, path, s.text, values[0])
			}
			back.WriteString(values[0].Value)
			values = values[1:]
		}
		if back.String() != path && back.String() != path+"/" || len(values) > 0 {
			t.Errorf("%q, %q: put back, it is %q", pattern, path, back.String())
		}
	})
}
