package usher_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	maxFile      = 400 // lines
	maxTestFile  = 600 // lines
	maxFunction  = 60  // lines
	maxInterface = 3   // methods
)

// maxNames is how many names a package may export, as go doc -short counts
// them: constructors each, methods and fields not, a group of constants or
// variables once.
var maxNames = map[string]int{"depends": 25, "security": 15, "wsroute": 25, "wsroute/wstest": 25}

// overBudget lists what may exceed its budget, under the name that the failure
// gives it, and why.
var overBudget = map[string]excess{
	"package security": {16, "a name for each scheme and each place of a credential: they are what the package is for"},
}

// excess allows so much and no more, for a reason.
type excess struct {
	allowed int
	why     string
}

// measure is the size of something that has a budget.
type measure struct {
	name   string // "dir/file.go", "dir/file.go: Func" or "package dir"
	size   int
	budget int
	unit   string
}

// measures returns the sizes in a file.
func measures(f goFile) []measure {
	budget := maxFile
	if f.Test {
		budget = maxTestFile
	}
	all := []measure{{f.Path, strings.Count(f.Text, "\n"), budget, "lines"}}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			lines := f.Line(n.End()) - f.Line(n.Pos()) + 1
			all = append(all, measure{f.Path + ": " + n.Name.Name, lines, maxFunction, "lines"})
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok {
				all = append(all, measure{f.Path + ": " + n.Name.Name, methods(i), maxInterface, "methods"})
			}
		}
		return true
	})
	return all
}

// methods counts the methods of an interface that it names itself.
func methods(i *ast.InterfaceType) (count int) {
	for _, field := range i.Methods.List {
		count += len(field.Names)
	}
	return count
}

// exported counts the exported top-level names of a package as go doc -short lists
// them: constructors are folded under their type.
func exported(files []goFile) (int, error) {
	// go/doc cuts the trees down that it is given, and other tests read those of
	// the files, so it gets its own.
	set := token.NewFileSet()
	var trees []*ast.File
	for _, f := range files {
		tree, err := parser.ParseFile(set, f.Path, f.Text, parser.ParseComments)
		if err != nil {
			return 0, err
		}
		trees = append(trees, tree)
	}
	pkg, err := doc.NewFromFiles(set, trees, module)
	if err != nil {
		return 0, err
	}
	count := len(pkg.Consts) + len(pkg.Vars) + len(pkg.Funcs)
	for _, t := range pkg.Types {
		count += 1 + len(t.Consts) + len(t.Vars) // constructors stand below their type
	}
	return count, nil
}

// faults says which sizes exceed their budgets without an exception, and which
// exceptions are not needed or give no reason.
func faults(all []measure, exceptions map[string]excess) (faults []string) {
	needed := map[string]bool{}
	for _, m := range all {
		if m.size <= m.budget {
			continue
		}
		needed[m.name] = true
		if e := exceptions[m.name]; m.size > max(m.budget, e.allowed) {
			faults = append(faults, fmt.Sprintf("%s has %d %s of at most %d: split it, or give it a reason in overBudget",
				m.name, m.size, m.unit, max(m.budget, e.allowed)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(exceptions)) {
		if !needed[name] {
			faults = append(faults, name+" is within its budget: take it out of overBudget")
		} else if exceptions[name].why == "" {
			faults = append(faults, name+" exceeds its budget without a reason: write it into overBudget")
		}
	}
	return faults
}

func TestBudgets(t *testing.T) {
	var all []measure
	packages := map[string][]goFile{}
	for _, f := range allGo(t) {
		all = append(all, measures(f)...)
		if !f.Test {
			packages[f.Dir()] = append(packages[f.Dir()], f)
		}
	}
	for dir, budget := range maxNames {
		if len(packages[dir]) == 0 {
			t.Errorf("there is no package %s: correct maxNames", dir)
			continue
		}
		count, err := exported(packages[dir])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, measure{"package " + dir, count, budget, "exported names"})
	}
	for _, fault := range faults(all, overBudget) {
		t.Error(fault)
	}
}

func TestMeasures(t *testing.T) {
	const source = "package a\n\nfunc F() {\n}\n\nfunc TestF() {}\n\ntype I interface {\n\tA()\n\tB()\n\tfmt.Stringer\n}\n"
	got := map[string]int{}
	for _, name := range []string{"a.go", "a_test.go"} {
		for _, m := range measures(mustParse(t, name, source)) {
			got[m.name] = m.size
		}
	}
	want := map[string]int{
		"a.go": 12, "a.go: F": 2, "a.go: TestF": 1, "a.go: I": 2, "a_test.go": 12, "a_test.go: F": 2, "a_test.go: TestF": 1, "a_test.go: I": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("measures (-want +got):\n%s", diff)
	}
	count, err := exported([]goFile{
		mustParse(t, "a.go", "package a\n\nconst (\n\tA = 1\n\tB = 2\n)\n\nconst c = 3\n\nfunc F() {}\n\nfunc g() {}\n"),
		mustParse(t, "b.go", "package a\n\ntype T struct{ F int }\n\nfunc NewT() T { return T{} }\n\nfunc (T) M() {}\n\ntype u int\n\nvar V T\n"),
	})
	if want := 4; err != nil || count != want { // A with B, F, T, V
		t.Errorf("exported = %d, %v, want %d", count, err, want)
	}
}

func TestFaults(t *testing.T) {
	at := func(size int) []measure { return []measure{{"a", size, 10, "lines"}} }
	for _, tt := range []struct {
		size       int
		exceptions map[string]excess
		want       int
	}{
		{10, nil, 0},
		{11, nil, 1},
		{11, map[string]excess{"a": {12, "a table"}}, 0},
		{13, map[string]excess{"a": {12, "a table"}}, 1},
		{11, map[string]excess{"a": {12, ""}}, 1},
		{10, map[string]excess{"a": {12, "a table"}}, 1},
		{10, map[string]excess{"b": {12, "gone"}}, 1},
	} {
		if got := faults(at(tt.size), tt.exceptions); len(got) != tt.want {
			t.Errorf("faults(%d, %v) = %q, want %d", tt.size, tt.exceptions, got, tt.want)
		}
	}
}
