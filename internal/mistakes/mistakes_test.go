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
	title, text       string
	broken, corrected func() error
}

var all = []mistake{
	{"missing: no provider", "Each type that is asked for needs a provider. The report begins with the missing type, and says what needs it.", missing, missingCorrected},
	{"missing: an interface", "A value is provided under the type of the variable. To provide an interface, name the interface.", missingInterface, missingInterfaceCorrected},
	{"missing: a pointer or a value", "`Store` and `*Store` are two types.", missingPointer, missingPointerCorrected},
	{"missing: a parameter without its source", "A field without a tag is a dependency. A parameter says where it comes from.", missingTag, missingTagCorrected},
	{"missing: the group's own", "Only the routes of a group see the providers of the group's `Deps()`.", missingInGroup, missingInGroupCorrected},
	{"missing: out of habit", "usher has no providers of some types that one expects, and the hint says what to use: a provider answers a handshake by an error; a handler has the request, without its credentials.", stranger, strangerCorrected},
	{"missing: no gin context", "`FromGin` needs a route that gin serves. A test overrides the value.", missingGin, missingGinCorrected},
	{"missing: the connection opens without it", "A message takes a value of its connection only if the route demands it: otherwise it may not be there. A guard, or `Require` on the message, asks for each message.", undemanded, undemandedCorrected},
	{"cycle", "Two providers wait for each other. Take what both need from a third.", cycle, cycleCorrected},
	{"ambiguous", "One type has one provider. Two values of the same kind are two types.", ambiguous, ambiguousCorrected},
	{"captive: it would outlive its dependency", "A value must not keep one that is released before it. A provider that uses it only while it runs says so.", captive, captiveCorrected},
	{"captive: made before there is a request", "App values are made once, in Mount, and from App values alone.", captiveApp, captiveAppCorrected},
	{"captive: a value of one message", "A Message value is made for one message, and released before its answer is sent.", captiveMessage, captiveMessageCorrected},
	{"failed", "An App provider runs in Mount, and its error is part of the report.", failed, failedCorrected},
	{"bad provider", "A type of the language, such as `string`, does not say what its value is, and nil is no value.", badProvider, badProviderCorrected},
	{
		"bad tag", "Tags are read when the program starts: names, options, defaults and rules. Rules that the\n" +
			"validator would never run (`ipv6` on a `netip.Addr`), that fail whatever comes (`alphanum` on an\n" +
			"`int`), that refuse a zero which may be sent (`required` on a number or a bool), or that are about\n" +
			"another field (`gtfield`, `required_with`) do not start either; nor does a type that has a provider\n" +
			"and is tagged as a parameter.", badTag, badTagCorrected,
	},
	{"bad field", "Fields are set, so they are exported; structs of parameters are embedded as themselves, and dependencies have names.", badField, badFieldCorrected},
	{"bad input", "An input is a struct, taken by value.", badInput, badInputCorrected},
	{"bad message", "A message type must fit into JSON.", badMessage, badMessageCorrected},
	{"bad message: types of messages", "A type of messages has one handler, the envelope has the members `type` and `ref`, tags of parameters belong into the input, and an answer is in the `Union`.", badMessages, badMessagesCorrected},
	{"bad message: an interface", "A loop that sends or receives an interface says which types that may be.", noUnion, noUnionCorrected},
	{"bad route", "Paths are written as gin writes them.", badRoute, badRouteCorrected},
	{"conflict", "A gin path has one handler for GET. A page of `HandleHTTP` shares a path with a socket.", conflict, conflictCorrected},
	{"conflict: two answers to a plain GET", "A route with `Diagnose` answers a plain GET itself.", twoAnswers, twoAnswersCorrected},
	{"bad config", "Faults of the configuration are in the same report.", badConfig, badConfigCorrected},
	{"unsafe", "An unsafe scheme does not start. A setting that is unsafe on purpose says so in its name, such as `InsecureAnyIssuer`.", unsafe, unsafeCorrected},
	{"unsafe: a scheme that is never asked", "Of two schemes for one source, the second would never be asked. JWTs may share one: their `iss` tells them apart.", unreachable, unreachableCorrected},
	{"unsafe: nobody is authenticated", "A WebSocket that everybody may open says so, by `wsroute.Public` or as a route of a group that does.", open, openCorrected},
	{"unsafe: a guard that refuses nobody", "A guard's provider refuses by an error. A value that says no is not looked at, and a value that is made in Mount has seen no peer.", noGuards, noGuardsCorrected},
	{"unused override", "An override in a test must stand in for something.", unusedOverride, unusedOverrideCorrected},
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

` + "`Mount`" + ` finds every mistake in the wiring of a program before the first connection, and returns all of
them in one report. This page has each kind of problem, a program that causes it, and the corrected
program. A test runs each program: the first one does not start, and returns exactly this report; the
corrected one starts.

A problem begins with its kind. The lines below it, ` + "`provided by`" + ` and ` + "`needed by`" + `, name the function,
its place, and the place where it was registered, from the inside out. The hint says what to do.

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
		if err := m.corrected(); err != nil {
			t.Errorf("%s: corrected, it does not mount: %v", m.title, err)
		}
		broken, corrected := found[nameOf(m.broken)], found[nameOf(m.corrected)]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", m.title, m.text)
		code(&b, lines[broken.file][broken.first-1:broken.last])
		fmt.Fprintf(&b, "\n```text\n%s\n```\n\nCorrected:\n\n", strings.TrimSpace(readable(err.Error(), broken)))
		code(&b, lines[corrected.file][corrected.first-1:corrected.last])
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
