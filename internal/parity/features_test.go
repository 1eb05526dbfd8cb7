package parity_test

import (
	"go/ast"
	"go/parser"
	positions "go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	feature  = regexp.MustCompile(`(?m)^\| (\d+) \| (.+?) \| (.+?) \| (.*?) ?\|$`)
	shownBy  = regexp.MustCompile(`S-?[A-Z]*\d+`)
	testLink = regexp.MustCompile(`\[(Test\w+)\]\(\.\./([^)]*)\)`)
)

// heldBy checks what a cell says to hold its row, and returns how much that is.
func heldBy(t *testing.T, row, cell string) (count int) {
	t.Helper()
	for _, id := range shownBy.FindAllString(testLink.ReplaceAllString(cell, ""), -1) {
		if !slices.ContainsFunc(chapters, func(c chapter) bool {
			return slices.ContainsFunc(c.scenarios, func(s scenario) bool { return s.id == id })
		}) {
			t.Errorf("%s: there is no scenario %s", row, id)
		}
		count++
	}
	for _, m := range testLink.FindAllStringSubmatch(cell, -1) {
		if !testsOf(t, m[2])[m[1]] {
			t.Errorf("%s: %s has no test %s", row, m[2], m[1])
		}
		count++
	}
	return count
}

// TestEveryFeatureHasARow: docs/from-fastapi.md says something to each, in order, and
// what it says is held by something, unless there is nothing.
func TestEveryFeatureHasARow(t *testing.T) {
	rows := feature.FindAllStringSubmatch(document(t, "from-fastapi.md"), -1)
	for i, row := range rows {
		number, fastapi, usher := row[1], row[2], row[3]
		if number != strconv.Itoa(i+1) || strings.TrimSpace(fastapi) == "" || strings.TrimSpace(usher) == "" {
			t.Errorf("row %d is %q", i+1, row[0])
		}
		if held := heldBy(t, "feature "+number, row[4]); held == 0 && !strings.HasPrefix(usher, "none: ") {
			t.Errorf("feature %s: nothing holds it", number)
		}
	}
	if len(rows) != 78 {
		t.Errorf("%d features of 78", len(rows))
	}
}

// TestTenAreWrittenOut: each with Python, and Go behind it.
func TestTenAreWrittenOut(t *testing.T) {
	_, text, _ := strings.Cut(document(t, "from-fastapi.md"), "\n## The ten most used\n")
	text, _, _ = strings.Cut(text, "\n## ")
	sections := strings.Split(text, "\n### ")[1:]
	for _, section := range sections {
		title, _, _ := strings.Cut(section, "\n")
		python, goes := strings.Index(section, "```python\n"), strings.Index(section, "```go\n")
		if python < 0 || goes < python {
			t.Errorf("%s: Python comes first, then Go", title)
		}
	}
	if len(sections) != 10 {
		t.Errorf("%d of 10", len(sections))
	}
}

// declare adds what a declaration exports: F, T, T.Method, T.Field.
func declare(names map[string]bool, declared ast.Decl) {
	switch d := declared.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			receiver := d.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			switch of := receiver.(type) {
			case *ast.IndexExpr:
				receiver = of.X
			case *ast.IndexListExpr:
				receiver = of.X
			}
			name = receiver.(*ast.Ident).Name + "." + name
		}
		names[name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					names[name.Name] = true
				}
			case *ast.TypeSpec:
				names[s.Name.Name] = true
				if of, ok := s.Type.(*ast.StructType); ok {
					for _, field := range of.Fields.List {
						for _, name := range field.Names {
							names[s.Name.Name+"."+name.Name] = true
						}
					}
				}
			}
		}
	}
}

// namesOf returns what a package declares.
func namesOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(dir, err)
	}
	names := map[string]bool{}
	for _, file := range files {
		tree, err := parser.ParseFile(positions.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range tree.Decls {
			declare(names, declared)
		}
	}
	return names
}

var (
	qualified = regexp.MustCompile(`\b(depends|wsroute|security|wstest)\.([A-Z]\w*)`)
	member    = regexp.MustCompile("`(?:wsroute\\.|depends\\.|security\\.)?((?:Config|Conn|Router|Graph|Room|Tickets)\\.[A-Z]\\w*)")
)

// TestNamesOnThesePagesExist: a page outlives a name that was changed.
func TestNamesOnThesePagesExist(t *testing.T) {
	packages := map[string]map[string]bool{}
	for _, dir := range []string{"depends", "wsroute", "security", "wsroute/wstest"} {
		packages[filepath.Base(dir)] = namesOf(t, dir)
	}
	for _, name := range []string{"from-fastapi.md", "cheatsheet.md", "parity.md"} {
		text := document(t, name)
		found := qualified.FindAllStringSubmatch(text, -1)
		for _, m := range found {
			if !packages[m[1]][m[2]] {
				t.Errorf("%s: there is no %s", name, m[0])
			}
		}
		for _, m := range member.FindAllStringSubmatch(text, -1) {
			if !packages["wsroute"][m[1]] && !packages["depends"][m[1]] && !packages["security"][m[1]] {
				t.Errorf("%s: there is no %s", name, m[1])
			}
		}
		if len(found) == 0 {
			t.Errorf("%s has no names", name)
		}
	}
}
