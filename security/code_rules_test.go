package security_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// source returns the package's files without its tests.
func source(t *testing.T) (*token.FileSet, []*ast.File) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return set, files
}

// TestNoComparisonOfSecrets: == and bytes.Equal tell by their duration how much
// of a secret was right. golang-jwt compares for us; what needs comparing later
// is to use crypto/subtle.
func TestNoComparisonOfSecrets(t *testing.T) {
	set, files := source(t)
	for _, f := range files {
		for _, at := range comparisons(f) {
			t.Errorf("%s compares a secret", set.Position(at))
		}
	}
	for source, want := range map[string]int{
		"secret == other": 1, "string(secret) != x": 1, "c.Value == x": 1, "bytes.Equal(a, b)": 1, "slices.Equal(a, b)": 1,
		"bytes.Compare(a, b)": 1, "bytes.HasPrefix(x, secret)": 1, "secret == nil": 0, "len(secret) == 0": 0, "name == x": 0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nvar _ = "+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(comparisons(f)); got != want {
			t.Errorf("%s: found %d, want %d", source, got, want)
		}
	}
}

var (
	secretName = regexp.MustCompile(`(?i)^(secret|token|credential|password|signature|mac|material|digest|hash|value|sum)s?$`)
	comparer   = regexp.MustCompile(`^(bytes|slices|strings|reflect)\.(Equal|Compare|Contains|DeepEqual|HasPrefix|HasSuffix|EqualFold)$`)
	always     = regexp.MustCompile(`^(bytes|slices)\.(Equal|Compare)$|^reflect\.DeepEqual$`)
)

// comparisons returns where a file compares something that is a secret by its name.
func comparisons(f *ast.File) (found []token.Pos) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op != token.EQL && n.Op != token.NEQ || isNil(n.X) || isNil(n.Y) {
				break
			}
			if secretly(n.X) || secretly(n.Y) {
				found = append(found, n.Pos())
			}
		case *ast.CallExpr:
			name := callee(n)
			if always.MatchString(name) {
				found = append(found, n.Pos())
			} else if comparer.MatchString(name) {
				// A pattern in the second place may be looked for in a secret.
				if last := n.Args[len(n.Args)-1]; secretly(last) {
					found = append(found, n.Pos())
				}
			}
		}
		return true
	})
	return found
}

func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}

// secretly reports whether an expression's value is a secret, by its name.
func secretly(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return secretName.MatchString(e.Name)
	case *ast.SelectorExpr:
		return secretName.MatchString(e.Sel.Name)
	case *ast.CallExpr:
		if callee(e) == "len" {
			return false
		}
		for _, a := range e.Args {
			if secretly(a) {
				return true
			}
		}
		return secretly(e.Fun)
	case *ast.IndexExpr:
		return secretly(e.X)
	case *ast.SliceExpr:
		return secretly(e.X)
	}
	return false
}

func callee(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// TestImports: security stands on the standard library, golang-jwt, depends and what finds
// credentials.
func TestImports(t *testing.T) {
	set, files := source(t)
	allowed := map[string]bool{
		"github.com/golang-jwt/jwt/v5": true, "example.com/usher/depends": true,
		"example.com/usher/internal/bind": true,
	}
	for _, f := range files {
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") && !allowed[path] {
				t.Errorf("%s imports %s", set.Position(i.Pos()), path)
			}
		}
	}
}
