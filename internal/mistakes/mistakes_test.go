package mistakes

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite docs/errors.md")

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

// mistake is a program that does not start, and the one that does.
type mistake struct {
	title, text    string
	broken, mended func() error
}

var all = []mistake{
	{"missing: nobody provides it", "Each type that is asked for needs a provider. The report begins with the innermost that is missing, and says who needs it.", missing, missingMended},
	{"missing: an interface", "A value is provided as the type that it is given as. To have it found by an interface, name the interface.", missingInterface, missingInterfaceMended},
	{"missing: a pointer, or none", "`Store` and `*Store` are two types.", missingPointer, missingPointerMended},
	{"missing: a parameter without its source", "A field without a tag is a dependency. A parameter says where it comes from.", missingTag, missingTagMended},
	{"missing: the group's own", "What is added to a group's `Deps()` is seen by that group's routes alone.", missingInGroup, missingInGroupMended},
	{"missing: out of habit", "Some types are asked for out of habit, and the hint says what there is in their place: a handshake has one answer, which a provider gives as an error; a handler has the request, without its credentials.", stranger, strangerMended},
	{"missing: no gin context", "What `FromGin` reads is there when gin serves the route. In a test, an override takes its place.", missingGin, missingGinMended},
	{"cycle", "Two providers wait for each other. Take what both need from a third.", cycle, cycleMended},
	{"ambiguous", "One type has one provider. Two values of the same kind are two types.", ambiguous, ambiguousMended},
	{"captive: it would outlive what it was made from", "A value must not keep one that is released before it. One that only uses it while it resolves says so.", captive, captiveMended},
	{"captive: made before there is a request", "App values are made once, in Mount, and from App values alone.", captiveApp, captiveAppMended},
	{"failed", "An App provider runs in Mount, and its error is part of the report.", failed, failedMended},
	{"bad provider", "A type of the language says nothing about what its value is, and a nil is no value.", badProvider, badProviderMended},
	{"bad tag", "Tags are read when the program starts: names, options, defaults and rules.", badTag, badTagMended},
	{"bad field", "Fields are set, so they are exported; structs of parameters are embedded as themselves, and dependencies have names.", badField, badFieldMended},
	{"bad input", "An input is a struct, taken by value.", badInput, badInputMended},
	{"bad message", "A message type must fit into JSON.", badMessage, badMessageMended},
	{"bad route", "Paths are written as gin writes them.", badRoute, badRouteMended},
	{"conflict", "A gin path has one handler for GET. Give the socket a path of its own.", conflict, conflictMended},
	{"bad config", "Faults of the configuration stand in the same report.", badConfig, badConfigMended},
	{"unsafe", "A scheme that is not safe does not start. What is unsafe on purpose has a name that says so, such as `InsecureAnyIssuer`.", unsafe, unsafeMended},
	{"unused override", "An override in a test must stand in for something.", unusedOverride, unusedOverrideMended},
}

// source is where a program stands: the lines between the end of the program
// before it and its own end.
type source struct {
	file        string
	first, last int
}

// programs finds the sources of all functions of this package's tests.
func programs(t *testing.T) (found map[string]source, lines map[string][]string) {
	found, lines = map[string]source{}, map[string][]string{}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines[name] = strings.Split(string(text), "\n")
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		before := 0
		for _, decl := range file.Decls {
			last := set.Position(decl.End()).Line
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
				before = last
				continue
			}
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil && f.Type.Params.NumFields() == 0 && f.Type.Results.NumFields() == 1 {
				found[f.Name.Name] = source{name, before + 1, last}
				before = last
			}
		}
	}
	for name, s := range found { // no empty lines around it
		for strings.TrimSpace(lines[s.file][s.first-1]) == "" {
			s.first++
		}
		found[name] = s
	}
	return found, lines
}

func nameOf(f func() error) string {
	full := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return full[strings.LastIndex(full, ".")+1:]
}

var (
	position = regexp.MustCompile(`mistakes/(\w+\.go):(\d+)`)
	kind     = regexp.MustCompile(`(?m)^  ([a-z ]+): `)
)

// readable makes a report that of the program as the page shows it: main.go is
// what is shown, its lines counted from one.
func readable(report string, at source) string {
	report = position.ReplaceAllStringFunc(report, func(found string) string {
		m := position.FindStringSubmatch(found)
		line, _ := strconv.Atoi(m[2]) // digits
		if m[1] != at.file || line < at.first || line > at.last {
			return strings.TrimSuffix(m[1], "_test.go") + ".go"
		}
		return fmt.Sprintf("main.go:%d", line-at.first+1)
	})
	return strings.ReplaceAll(report, "mistakes.", "main.")
}

const (
	pagePath = "../../docs/errors.md"
	head     = `# Wiring errors

Everything that is wrong with the wiring of a program is found by ` + "`Mount`" + `, before the first
connection, and told in one report. This page has each kind of problem, the program that
causes it, and the one that is mended. Each program of this page is run by a test: the
first ones do not start, and say exactly this; the mended ones do.

A problem begins with its kind. The lines below it say where: ` + "`provided by`" + ` and ` + "`needed by`" + `
name the function, where it stands, and where it was registered, from the inside out. The
hint says what can be done.

All programs share these pieces:

`
)

// TestThePageOfMistakes runs every program, and compares the page with them.
func TestThePageOfMistakes(t *testing.T) {
	found, lines := programs(t)
	var b bytes.Buffer
	b.WriteString(head)
	shared := lines["shared_test.go"]
	code(&b, shared[slices.Index(shared, "type User struct{ Name string }"):])
	for _, m := range all {
		err := m.broken()
		if err == nil {
			t.Errorf("%s: it mounts", m.title)
			continue
		}
		if err := m.mended(); err != nil {
			t.Errorf("%s: mended, it does not mount: %v", m.title, err)
		}
		broken, mended := found[nameOf(m.broken)], found[nameOf(m.mended)]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", m.title, m.text)
		code(&b, lines[broken.file][broken.first-1:broken.last])
		fmt.Fprintf(&b, "\n```text\n%s\n```\n\nMended:\n\n", strings.TrimSpace(readable(err.Error(), broken)))
		code(&b, lines[mended.file][mended.first-1:mended.last])
	}
	if *update {
		if err := os.WriteFile(pagePath, b.Bytes(), 0o644); err != nil { //nolint:gosec // a page to be read
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), b.String()); diff != "" {
		t.Errorf("run go test ./internal/mistakes -update\n%s", diff)
	}
}

func code(b *bytes.Buffer, lines []string) {
	fmt.Fprintf(b, "```go\n%s\n```\n", strings.TrimSpace(strings.Join(lines, "\n")))
}

var kinds = regexp.MustCompile(`(?:Kind: +|\badd\(|kind, fact := |kind = )"([a-z ]+)"`)

// TestEveryKindIsOnThePage looks for the kinds in the code that makes them.
func TestEveryKindIsOnThePage(t *testing.T) {
	shown := map[string]bool{}
	for _, m := range all {
		for _, found := range kind.FindAllStringSubmatch(m.broken().Error(), -1) {
			shown[found[1]] = true
		}
	}
	files, _ := filepath.Glob("../../wsroute/*.go")
	more, _ := filepath.Glob("../graph/*.go")
	seen := 0
	for _, name := range append(files, more...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range kinds.FindAllStringSubmatch(string(text), -1) {
			seen++
			if !shown[found[1]] {
				t.Errorf("%s makes a problem of the kind %q, and docs/errors.md shows none", name, found[1])
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d places that make problems were found", seen)
	}
}
