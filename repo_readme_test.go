package usher_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var namedTest = regexp.MustCompile("\\[`(Test\\w+)`\\]\\(([^)]+)\\)")

// namedTests returns the tests that a document names as a link to their file, and the file
// that each link leads to.
func namedTests(doc repoFile) (tests [][2]string) {
	for _, m := range namedTest.FindAllStringSubmatch(doc.Text, -1) {
		tests = append(tests, [2]string{m[1], path.Join(path.Dir(doc.Path), m[2])})
	}
	return tests
}

func TestNamedTests(t *testing.T) {
	named := 0
	for _, doc := range allText(t) {
		if path.Ext(doc.Path) != ".md" {
			continue
		}
		for _, test := range namedTests(doc) {
			named++
			there := slices.ContainsFunc(allText(t), func(f repoFile) bool {
				return f.Path == test[1] && strings.Contains(f.Text, "\nfunc "+test[0]+"(")
			})
			if !there {
				t.Errorf("%s names %s, which is not in %s: correct it", doc.Path, test[0], test[1])
			}
		}
	}
	if named == 0 {
		t.Error("no document names a test: what README.md promises is to have one behind it")
	}
}

func TestNamedTestsFound(t *testing.T) {
	got := namedTests(repoFile{"docs/a.md", "[`TestA`](../b/c_test.go) [TestB](d_test.go) `TestC` [`f`](g.go)\n[`TestD`](e_test.go)"})
	want := [][2]string{{"TestA", "b/c_test.go"}, {"TestD", "docs/e_test.go"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("namedTests (-want +got):\n%s", diff)
	}
}
