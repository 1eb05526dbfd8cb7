package usher_test

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exportedNames returns the exported top-level names that a file declares.
func exportedNames(f goFile) (names []string) {
	add := func(id *ast.Ident) {
		if id.IsExported() {
			names = append(names, id.Name)
		}
	}
	for _, decl := range f.AST.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				add(decl.Name)
			}
		case *ast.GenDecl:
			if decl.Tok == token.IMPORT {
				continue
			}
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					add(spec.Name)
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						add(id)
					}
				}
			}
		}
	}
	return names
}

// exportedMethods returns the exported methods of the exported types that a file
// declares, as Type.Method.
func exportedMethods(f goFile) (names []string) {
	for _, decl := range f.AST.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv == nil || !fn.Name.IsExported() {
			continue
		}
		if on := receiver(fn.Recv.List[0].Type); ast.IsExported(on) {
			names = append(names, on+"."+fn.Name.Name)
		}
	}
	return names
}

// receiver is the name of a receiver's type, without star and type parameters.
func receiver(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.IndexListExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// implicit are methods that the standard library calls, so that a test which
// needs them does not spell them.
var implicit = []string{"Error", "GoString", "Is", "LogValue", "String", "Unwrap"}

// unshown lists exported methods that no test or example calls, and why.
var unshown = map[string]string{
	"depends.Rejection.CodeAfterUpgrade": "wsroute calls it wherever a rejection closes a connection, and tests see the code",
}

// mentions returns the names of a package that the code of a file mentions, and
// with a dot before it what the file selects from anything, such as a method. Its
// comments do not count.
func mentions(f goFile, dir string) map[string]bool {
	names := map[string]bool{}
	pkg := path.Base(dir)
	inside := f.Dir() == dir && f.AST.Name.Name == pkg
	if !inside && !slices.Contains(f.Imports(), module+"/"+dir) {
		return names
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			names["."+n.Sel.Name] = true
			if x, ok := n.X.(*ast.Ident); ok && x.Name == pkg {
				names[n.Sel.Name] = true
			}
		case *ast.Ident:
			if inside {
				names[n.Name] = true
			}
		}
		return true
	})
	return names
}

func TestExportedNamesAreUsed(t *testing.T) {
	files, silent := allGo(t), map[string]bool{}
	for _, dir := range publicPackages {
		used := map[string]bool{}
		for _, f := range files {
			if f.Test || strings.HasPrefix(f.Path, "examples/") {
				for name := range mentions(f, dir) {
					used[name] = true
				}
			}
		}
		for _, f := range files {
			if f.Test || f.Dir() != dir {
				continue
			}
			for _, name := range exportedNames(f) {
				if !used[name] {
					t.Errorf("%s: no test or example uses %s.%s: write one, or do not export it", f.Path, path.Base(dir), name)
				}
			}
			for _, method := range exportedMethods(f) {
				_, name, _ := strings.Cut(method, ".")
				if full := path.Base(dir) + "." + method; !used["."+name] && !slices.Contains(implicit, name) {
					silent[full] = true
					if unshown[full] == "" {
						t.Errorf("%s: no test or example calls %s: write one, or do not export it", f.Path, full)
					}
				}
			}
		}
	}
	for full := range unshown {
		if !silent[full] {
			t.Errorf("%s is called by a test or an example, or is gone: take it out of unshown", full)
		}
	}
}

func TestExportedMethods(t *testing.T) {
	got := exportedMethods(mustParse(t, "a.go", "package a\nfunc (A) B() {}\nfunc (*A) C() {}\nfunc (A[T]) D() {}\n"+
		"func (*A[T, U]) E() {}\nfunc (A) f() {}\nfunc (g) H() {}\nfunc I() {}\n"))
	if diff := cmp.Diff([]string{"A.B", "A.C", "A.D", "A.E"}, got); diff != "" {
		t.Errorf("exportedMethods (-want +got):\n%s", diff)
	}
	used := mentions(mustParse(t, "a/b/b_test.go", "package b_test\nimport \""+module+"/a/b\"\nvar _ = b.A().M()"), "a/b")
	if !used[".M"] || used["M"] || used[".N"] {
		t.Errorf("mentions of a method = %v, want .M and not M", used)
	}
}

func TestExportedNames(t *testing.T) {
	got := exportedNames(mustParse(t, "a/b/b.go", "package b\nimport \"io\"\nconst (\n A, b = 1, 2\n C = 3\n)\n"+
		"var D io.Reader\ntype E struct{ F int }\nfunc (E) G() {}\nfunc H() {}\nfunc i() {}\n"))
	if diff := cmp.Diff([]string{"A", "C", "D", "E", "H"}, got); diff != "" {
		t.Errorf("exportedNames (-want +got):\n%s", diff)
	}
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"package b_test\nimport \"" + module + "/a/b\"\nvar _ = b.A":   true,
		"package b_test\nimport \"" + module + "/a/b\"\n// b.A is so.": false,
		"package b_test\nimport \"" + module + "/b\"\nvar _ = b.A":     false,
		"package b_test\nvar A = 1":                                    false,
		"package b\nvar _ = A":                                         true,
	} {
		if got := mentions(mustParse(t, "a/b/b_test.go", text), "a/b")["A"]; got != want {
			t.Errorf("mentions of A in %q = %t, want %t", text, got, want)
		}
	}
}

// fuzzTargets returns the fuzz functions of a file, and whether each adds a seed.
func fuzzTargets(f goFile) map[string]bool {
	targets := map[string]bool{}
	for _, decl := range f.AST.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") || len(fn.Type.Params.List) != 1 {
			continue
		}
		var param string
		if names := fn.Type.Params.List[0].Names; len(names) == 1 {
			param = names[0].Name
		}
		seeded := false
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
				x, ok := s.X.(*ast.Ident)
				seeded = seeded || ok && x.Name == param
			}
			return true
		})
		targets[fn.Name.Name] = seeded
	}
	return targets
}

func TestFuzzSeeds(t *testing.T) {
	for _, f := range allGo(t) {
		if !f.Test {
			continue
		}
		for name, seeded := range fuzzTargets(f) {
			corpus, _ := os.ReadDir(path.Join(f.Dir(), "testdata", "fuzz", name)) // none is none
			if !seeded && len(corpus) == 0 {
				t.Errorf("%s: %s starts from nothing: add seeds with f.Add or in testdata/fuzz/%s", f.Path, name, name)
			}
		}
	}
}

func TestFuzzTargets(t *testing.T) {
	got := fuzzTargets(mustParse(t, "a_test.go", "package a\nfunc FuzzA(f *testing.F) { for range 3 { f.Add(1) } }\n"+
		"func FuzzB(f *testing.F) { wg.Add(1) }\nfunc Fuzzy() {}\nfunc (T) FuzzC(f *testing.F) {}\n"))
	if diff := cmp.Diff(map[string]bool{"FuzzA": true, "FuzzB": false}, got); diff != "" {
		t.Errorf("fuzzTargets (-want +got):\n%s", diff)
	}
}
