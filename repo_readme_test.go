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

// TestEveryExampleIsIndexed: README says which example to read when.
func TestEveryExampleIsIndexed(t *testing.T) {
	readme := readText(t, "README.md", "it has the index of the examples")
	found := 0
	for _, f := range allGo(t) {
		if dir, name := path.Split(f.Path); name == "main.go" && strings.HasPrefix(dir, "examples/") {
			found++
			if !strings.Contains(readme, "("+f.Path+")") && !strings.Contains(readme, "("+path.Clean(dir)+")") &&
				!strings.Contains(readme, "("+dir+"main_test.go)") {
				t.Errorf("README.md does not say when to read %s: add it to the table of examples", f.Path)
			}
		}
	}
	if found == 0 {
		t.Error("there is no example")
	}
}

// TestEveryPageIsInTheBook: docs/README.md is its table of contents.
func TestEveryPageIsInTheBook(t *testing.T) {
	book := readText(t, "docs/README.md", "it is the book's table of contents")
	for _, f := range allText(t) {
		if path.Dir(f.Path) == "docs" && f.Path != "docs/README.md" && path.Ext(f.Path) == ".md" &&
			!strings.Contains(book, "("+path.Base(f.Path)+")") {
			t.Errorf("docs/README.md does not list %s: say there what one can do after reading it", f.Path)
		}
	}
}
