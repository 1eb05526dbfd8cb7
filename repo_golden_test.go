package usher_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/printer"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// publicPackages are what programs import.
var publicPackages = []string{"depends", "security", "wsroute", "wsroute/asyncapi", "wsroute/wstest"}

// TestAPI compares what a user meets, every exported name, method and field, with
// testdata/api.txt: a change of it is reviewed there.
func TestAPI(t *testing.T) {
	const golden = "testdata/api.txt"
	var got strings.Builder
	for _, dir := range publicPackages {
		var lines []string
		for _, f := range allGo(t) {
			if !f.Test && f.Dir() == dir {
				lines = append(lines, api(f)...)
			}
		}
		slices.Sort(lines)
		fmt.Fprintf(&got, "package %s: %d names\n\n%s\n\n", dir, len(lines), strings.Join(lines, "\n"))
	}
	wantGolden(t, golden, got.String(), "the API has changed; if that is meant, run go test . -run TestAPI -update")
}

// TestTheRootStaysSmall compares the modules that a program downloads with usher, go.sum's, with
// testdata/modules.txt: brokers, exporters and what else is heavy belong into modules of their own.
func TestTheRootStaysSmall(t *testing.T) {
	var modules []string
	for line := range strings.Lines(readText(t, "go.sum", "it has the modules")) {
		name, _, _ := strings.Cut(line, " ")
		modules = append(modules, name+"\n")
	}
	slices.Sort(modules)
	wantGolden(t, "testdata/modules.txt", strings.Join(slices.Compact(modules), ""),
		"the root module needs other modules: let one of its own need them")
}

// wantGolden compares a text with a golden file.
func wantGolden(t *testing.T, golden, got, fault string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", fault, diff)
	}
}

// api returns a line for each exported name, method and field that a file declares.
func api(f goFile) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, decl := range f.AST.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			switch {
			case !decl.Name.IsExported():
			case decl.Recv == nil:
				add("func %s%s", decl.Name.Name, signature(f, decl.Type))
			case ast.IsExported(receiver(decl.Recv.List[0].Type)):
				add("method %s.%s%s", receiver(decl.Recv.List[0].Type), decl.Name.Name, signature(f, decl.Type))
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					lines = append(lines, apiOfType(f, spec)...)
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						if id.IsExported() {
							add("%s %s", decl.Tok, id.Name)
						}
					}
				}
			}
		}
	}
	return lines
}

// apiOfType returns the lines of a type: its own, and those of its fields.
func apiOfType(f goFile, spec *ast.TypeSpec) (lines []string) {
	name := spec.Name.Name
	if !spec.Name.IsExported() {
		return nil
	}
	var fields *ast.FieldList
	kind := "field"
	switch t := spec.Type.(type) {
	case *ast.StructType:
		lines, fields = append(lines, "type "+name+" struct"), t.Fields
	case *ast.InterfaceType:
		lines, fields, kind = append(lines, "type "+name+" interface"), t.Methods, "method"
	default:
		return []string{"type " + name + " " + source(f, spec.Type)}
	}
	for _, field := range fields.List {
		for _, id := range field.Names {
			if id.IsExported() {
				lines = append(lines, fmt.Sprintf("%s %s.%s %s", kind, name, id.Name, source(f, field.Type)))
			}
		}
		if field.Names == nil && ast.IsExported(receiver(field.Type)) {
			lines = append(lines, fmt.Sprintf("embedded %s.%s", name, source(f, field.Type)))
		}
	}
	return lines
}

// TestPagesShowNothingInternal: go doc shows types and initial values as they are written,
// and the exported methods of an embedded type that is not exported.
func TestPagesShowNothingInternal(t *testing.T) {
	for _, f := range allGo(t) {
		if f.Test || !slices.Contains(publicPackages, f.Dir()) {
			continue
		}
		for _, name := range shownInternals(f) {
			t.Errorf("%s: go doc shows %s: keep it in an unexported field or function", f.Path, name)
		}
	}
}

// shownInternals returns what go doc shows of internal packages in the declarations of a file.
func shownInternals(f goFile) (names []string) {
	internal := map[string]bool{}
	for _, imported := range f.Imports() {
		if strings.HasPrefix(fromRoot(imported), "internal/") {
			internal[path.Base(imported)] = true
		}
	}
	look := func(node ast.Node) {
		ast.Inspect(node, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := s.X.(*ast.Ident); ok && internal[id.Name] {
					names = append(names, source(f, s))
				}
			}
			return true
		})
	}
	for _, decl := range f.AST.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Name.IsExported() {
				look(decl.Type)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() {
						lookAtType(spec.Type, look)
					}
				case *ast.ValueSpec:
					if slices.ContainsFunc(spec.Names, (*ast.Ident).IsExported) {
						look(spec)
					}
				}
			}
		}
	}
	return names
}

// lookAtType looks at what go doc shows of a type: no field or method that is not exported.
func lookAtType(expr ast.Expr, look func(ast.Node)) {
	var fields *ast.FieldList
	switch t := expr.(type) {
	case *ast.StructType:
		fields = t.Fields
	case *ast.InterfaceType:
		fields = t.Methods
	default:
		look(expr)
		return
	}
	for _, field := range fields.List {
		if field.Names == nil || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
			look(field.Type)
		}
	}
}

func TestShownInternals(t *testing.T) {
	for text, want := range map[string]int{
		"type G struct{ g *graph.Graph }":                           0,
		"type G struct{ G *graph.Graph }":                           1,
		"type G struct{ graph.Graph }":                              1,
		"type S graph.Source":                                       1,
		"type S = graph.Source":                                     1,
		"type O interface{ apply(*graph.Graph); Of() graph.Graph }": 1,
		"const App = Lifetime(graph.App)":                           1,
		"var e, E = graph.E, 1":                                     1,
		"var e = graph.E":                                           0,
		"func (c core) Inner() *graph.Graph { return nil }":         1,
		"func F() { graph.F() }":                                    0,
		"func f() *graph.Graph { return nil }":                      0,
	} {
		const head = "package depends\nimport \"" + module + "/internal/graph\"\n"
		if got := shownInternals(mustParse(t, "depends/x.go", head+text)); len(got) != want {
			t.Errorf("%s: got %v, want %d", text, got, want)
		}
	}
}

// signature is a function's type, without the word func.
func signature(f goFile, t *ast.FuncType) string {
	return strings.TrimPrefix(source(f, t), "func")
}

// source is a piece of code on one line.
func source(f goFile, node ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, f.Set, node); err != nil {
		return err.Error()
	}
	line := strings.Join(strings.Fields(b.String()), " ")
	return strings.NewReplacer("( ", "(", ", )", ")").Replace(line)
}

func TestAPILines(t *testing.T) {
	f := mustParse(t, "a.go", `package a
const A, b = 1, 2
var V T
type T struct { F, g int; H func(x int) error; *E; io.Reader; i }
type I interface { M(int); n() }
type E[X any] []X
type u int
func New[X any](x X,
	y int) (T, error) { return T{}, nil }
func (t *T) Do(int) {}
func (e E[X]) Get() X { return e[0] }
func (u) Hidden() {}
func h() {}
`)
	want := []string{
		"const A", "embedded T.*E", "field T.F int", "field T.H func(x int) error", "func New[X any](x X, y int) (T, error)", "method E.Get() X",
		"method I.M func(int)", "method T.Do(int)", "type E []X", "type I interface", "type T struct", "var V",
	}
	got := api(f)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("api (-want +got):\n%s", diff)
	}
}
