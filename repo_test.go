package usher_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The tests of this directory hold the house rules that CONTRIBUTING.md lists.
// Each failure says what to do. What decides is a function of its own with a
// table test beside it, so that a rule which cannot fail is noticed.

const module = "example.com/usher"

// repoFile is a text file of the repository.
type repoFile struct {
	Path string // slash separated, from the root
	Text string
}

// goFile is a Go file of the repository, outside of any testdata.
type goFile struct {
	repoFile
	Test   bool
	Nested bool // in a module of its own, below the root
	Set    *token.FileSet
	AST    *ast.File
}

// Dir is the directory of the file; the root is ".".
func (f goFile) Dir() string { return path.Dir(f.Path) }

// Line is the line of a position in the file.
func (f goFile) Line(at token.Pos) int { return f.Set.Position(at).Line }

// Imports are the paths that the file imports.
func (f goFile) Imports() []string {
	var paths []string
	for _, spec := range f.AST.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, "`\""))
	}
	return paths
}

// textFiles are all files of the repository but what git and make keep for
// themselves, and what is not text.
var textFiles = sync.OnceValues(func() (files []repoFile, err error) {
	err = filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == ".bin"):
			return filepath.SkipDir
		case !entry.Type().IsRegular() || entry.Name() == ".git": // a worktree has a file of that name
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return err
		}
		files = append(files, repoFile{Path: filepath.ToSlash(name), Text: string(text)})
		return nil
	})
	return files, err
})

// goFiles are the Go files among the text files.
var goFiles = sync.OnceValues(func() ([]goFile, error) {
	all, err := textFiles()
	if err != nil {
		return nil, err
	}
	var modules []string
	for _, f := range all {
		if path.Base(f.Path) == "go.mod" && f.Path != "go.mod" {
			modules = append(modules, path.Dir(f.Path)+"/")
		}
	}
	var files []goFile
	for _, f := range all {
		if path.Ext(f.Path) != ".go" || slices.Contains(strings.Split(f.Path, "/"), "testdata") {
			continue
		}
		parsed, err := parseGo(f.Path, f.Text)
		if err != nil {
			return nil, err
		}
		parsed.Nested = slices.ContainsFunc(modules, func(dir string) bool { return strings.HasPrefix(f.Path, dir) })
		files = append(files, parsed)
	}
	return files, nil
})

func parseGo(name, text string) (goFile, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return goFile{
		repoFile: repoFile{Path: name, Text: text}, Test: strings.HasSuffix(name, "_test.go"), Set: set, AST: parsed,
	}, err
}

func allText(t *testing.T) []repoFile {
	t.Helper()
	files, err := textFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func allGo(t *testing.T) []goFile {
	t.Helper()
	files, err := goFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// mustParse parses a file that a test makes up.
func mustParse(t *testing.T, name, text string) goFile {
	t.Helper()
	f, err := parseGo(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// readText returns the text of a file that has to be there.
func readText(t *testing.T, name, purpose string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%s is missing: write it; %s", name, purpose)
	}
	return string(text)
}
