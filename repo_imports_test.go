package usher_test

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mayImport says what the files of a package may import, tests aside. The row
// with the longest name that fits decides; dir/... is everything below dir, std
// is the standard library, and * is anything. Paths of the root module are from
// its root.
const mayImport = `
.                -
internal/graph   std !net/http github.com/go-playground/validator/v10
internal/bind    std depends internal/graph
internal/wsconn  std golang.org/x/sys/unix github.com/gorilla/websocket
internal/...     std internal/...
depends          std github.com/go-playground/validator/v10 internal/graph
security         std github.com/golang-jwt/jwt/v5 depends internal/bind
wsroute          std github.com/gin-gonic/gin github.com/go-playground/validator/v10 depends internal/...
wsroute/asyncapi std wsroute wsroute/asyncapi/...
wsroute/asyncapi/internal/client std github.com/gorilla/websocket
wsroute/asyncapi/internal/roomclient std github.com/gorilla/websocket
wsroute/asyncapi/internal/schema std
wsroute/wstest   std github.com/gorilla/websocket github.com/gin-gonic/gin github.com/golang-jwt/jwt/v5 depends security wsroute internal/...
examples/...     * !internal/... !examples/...
`

// importedBy says who may import a package, tests included.
const importedBy = `
internal/graph   internal/graph internal/bind depends wsroute wsroute/wstest
internal/bind    internal/bind depends security wsroute
internal/wsconn  internal/wsconn wsroute
wsroute/asyncapi/internal/schema wsroute/asyncapi/...
examples/...     -
`

// importRule is a row of the tables above.
type importRule struct {
	name  string
	words []string
}

func importRules(table string) (rules []importRule) {
	for line := range strings.Lines(table) {
		if words := strings.Fields(line); len(words) > 0 {
			rules = append(rules, importRule{words[0], words[1:]})
		}
	}
	return rules
}

// covers reports whether a word of a table means a package.
func covers(word, pkg string) bool {
	if tree, ok := strings.CutSuffix(word, "..."); ok {
		return strings.HasPrefix(pkg+"/", tree)
	}
	first, _, _ := strings.Cut(pkg, "/")
	return word == "*" || word == pkg || word == "std" && !strings.Contains(first, ".") && !ours(pkg)
}

// ours reports whether a path is one from the root of the module.
func ours(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return slices.Contains([]string{"", ".", "depends", "security", "wsroute", "internal", "examples"}, first)
}

// fromRoot shortens the import path of a package of the root module. The
// standard library has packages internal/… as well, but nobody can import them.
func fromRoot(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// importFault returns what is wrong with an import, or nothing.
func importFault(dir, imported string, test bool) string {
	imported = fromRoot(imported)
	for _, rule := range importRules(importedBy) {
		by := func(word string) bool { return covers(word, dir) }
		if covers(rule.name, imported) && !slices.ContainsFunc(rule.words, by) {
			return fmt.Sprintf("only %v may import %s: use an exported name of a package above it", rule.words, imported)
		}
	}
	if test {
		return ""
	}
	var best *importRule
	for _, rule := range importRules(mayImport) {
		if covers(rule.name, dir) && (best == nil || len(rule.name) > len(best.name)) {
			best = &rule
		}
	}
	if best == nil {
		return fmt.Sprintf("package %s has no row in the table mayImport: give it one", dir)
	}
	allowed := false
	for _, word := range best.words {
		if no, found := strings.CutPrefix(word, "!"); found && covers(no, imported) {
			allowed = false
		} else if !found && covers(word, imported) {
			allowed = true
		}
	}
	if !allowed {
		return fmt.Sprintf("%s may import %v and not %s: move the code, or think the layout over", dir, best.words, imported)
	}
	return ""
}

func TestImportDirections(t *testing.T) {
	for _, f := range allGo(t) {
		if f.Nested {
			continue
		}
		for _, imported := range f.Imports() {
			if fault := importFault(f.Dir(), imported, f.Test); fault != "" {
				t.Errorf("%s: %s", f.Path, fault)
			}
		}
	}
}

func TestImportFault(t *testing.T) {
	const gin, gorilla = "github.com/gin-gonic/gin", "github.com/gorilla/websocket"
	for _, tt := range []struct {
		dir, imported string
		test, fault   bool
	}{
		{"depends", "net/http", false, false},
		{"depends", module + "/internal/graph", false, false},
		{"depends", module + "/internal/memconn", false, true},
		{"depends", module + "/wsroute", false, true},
		{"depends", module + "/wsroute", true, false},
		{"depends", gin, false, true},
		{"security", module + "/depends", false, false},
		{"security", module + "/wsroute", false, true},
		{"security", module + "/internal/graph", false, true},
		{"security", module + "/internal/graph", true, true},
		{"security", module + "/internal/bind", false, false},
		{"internal/graph", module + "/depends", false, true},
		{"internal/graph", "net/http", false, true},
		{"internal/graph", "net/http", true, false},
		{"internal/bind", module + "/depends", false, false},
		{"internal/bind", module + "/wsroute", false, true},
		{"depends", module + "/internal/bind", false, true},
		{"depends", module + "/internal/bind", true, false},
		{"wsroute/wstest", module + "/internal/bind", false, true},
		{"internal/memconn", module + "/internal/graph", false, true},
		{"internal/wsconn", gorilla, false, false},
		{"wsroute", gorilla, false, true},
		{"wsroute", module + "/wsroute/wstest", false, true},
		{"wsroute", module + "/internal/memconn", false, false},
		{"wsroute/wstest", module + "/wsroute", false, false},
		{"wsroute/wstest", "github.com/go-playground/validator/v10", false, true},
		{"wsroute/wstest", module + "/examples/chat", true, true},
		{"examples/chat", gin, false, false},
		{"examples/chat", module + "/internal/memconn", false, true},
		{"examples/chat", module + "/examples/quickstart", false, true},
		{".", "net/http", false, true},
		{"novel", "net/http", false, true},
	} {
		if fault := importFault(tt.dir, tt.imported, tt.test); (fault != "") != tt.fault {
			t.Errorf("%s imports %s (test: %t): got %q, want a fault: %t", tt.dir, tt.imported, tt.test, fault, tt.fault)
		}
	}
}

// packageComments returns which files hold the package comment of each package.
func packageComments(files []goFile) map[string][]string {
	comments := map[string][]string{}
	for _, f := range files {
		if f.Test {
			continue
		}
		list := comments[f.Dir()]
		if documented(f.AST.Doc) {
			list = append(list, f.Path)
		}
		comments[f.Dir()] = list
	}
	return comments
}

// documented reports whether a comment has words, directives aside.
func documented(c *ast.CommentGroup) bool { return c != nil && strings.TrimSpace(c.Text()) != "" }

// commentFault returns what is wrong with how the package comment of a file
// begins, or nothing.
func commentFault(f goFile) string {
	if f.Test || !documented(f.AST.Doc) {
		return ""
	}
	want := "Package " + f.AST.Name.Name
	if f.AST.Name.Name == "main" {
		want = "Command " + path.Base(f.Dir())
	}
	if regexp.MustCompile(`^` + regexp.QuoteMeta(want) + `\b`).MatchString(f.AST.Doc.Text()) {
		return ""
	}
	return fmt.Sprintf("the package comment does not begin with %q, as go doc shows it: begin with that", want)
}

func TestOnePackageComment(t *testing.T) {
	files := allGo(t)
	for _, f := range files {
		if fault := commentFault(f); fault != "" {
			t.Errorf("%s: %s", f.Path, fault)
		}
	}
	for dir, in := range packageComments(files) {
		switch len(in) {
		case 0:
			t.Errorf("package %s has no package comment: write one, in doc.go if it is long", dir)
		case 1:
		default:
			t.Errorf("package %s has package comments in %v: keep one", dir, in)
		}
	}
}

func TestPackageComments(t *testing.T) {
	got := packageComments([]goFile{
		mustParse(t, "a/one.go", "// Package a is documented.\npackage a"),
		mustParse(t, "a/two.go", "//go:build unix\n\npackage a"),
		mustParse(t, "a/a_test.go", "// Tests of a.\npackage a"),
		mustParse(t, "b/one.go", "//go:build unix\npackage b"),
		mustParse(t, "c/one.go", "// Package c.\npackage c"),
		mustParse(t, "c/two.go", "// Package c, again.\npackage c"),
	})
	want := map[string][]string{"a": {"a/one.go"}, "b": nil, "c": {"c/one.go", "c/two.go"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packageComments (-want +got):\n%s", diff)
	}
}

func TestCommentFault(t *testing.T) {
	for text, want := range map[string]bool{
		"// Package a is.\npackage a":          false,
		"/*\nPackage a is.\n*/\npackage a":     false,
		"// Package about is.\npackage a":      true,
		"// This package is.\npackage a":       true,
		"// Command chat is.\npackage main":    false,
		"// Package main is.\npackage main":    true,
		"// Command talk is.\npackage main":    true,
		"//go:build unix\n\npackage a":         false,
		"package a // nothing, another rule's": false,
	} {
		if got := commentFault(mustParse(t, "examples/chat/main.go", text)); (got != "") != want {
			t.Errorf("commentFault(%q) = %q, want a fault: %t", text, got, want)
		}
	}
}
