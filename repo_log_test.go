package usher_test

import (
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// logLine is a line of log as docs/operating.md describes it: its levels and its attributes.
type logLine struct{ Levels, Attrs string }

// logMethods are the functions of slog, and of its loggers, that write a line; by how many
// arguments the message follows.
var logMethods = map[string]int{
	"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "Log": 2, "LogAttrs": 2, "NewRecord": 2,
	"DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1,
}

// attrKinds are the functions of slog that make an attribute.
var attrKinds = []string{"String", "Int", "Int64", "Uint64", "Float64", "Bool", "Time", "Duration", "Group", "Any"}

// lineFunc is the function of wsroute that makes each line about a connection. The attributes
// that it adds are those of every such line.
const lineFunc = "log"

// logLines adds the lines that a file writes: by message, the levels and the attributes. Lines
// about a connection have the attribute lineFunc, in place of those that lineFunc adds.
func logLines(f goFile, levels, attrs map[string]map[string]bool) (faults []string) {
	for _, decl := range f.AST.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			faults = append(faults, logLinesOf(f, fn, levels, attrs)...)
		}
	}
	return faults
}

// logLinesOf looks at one function: a message or a level that is a variable is whatever the
// function assigns to it, and the attributes that it makes are those of its lines.
func logLinesOf(f goFile, fn *ast.FuncDecl, levels, attrs map[string]map[string]bool) (faults []string) {
	assigned, made := assignments(fn), map[string]bool{}
	var messages []string
	note := func(call *ast.CallExpr, message ast.Expr, level []string) {
		texts := constants(message, assigned)
		if len(texts) == 0 || len(level) == 0 {
			if fn.Name.Name != lineFunc { // which has them of its callers
				faults = append(faults, strconv.Itoa(f.Line(call.Pos())))
			}
			return
		}
		for _, text := range texts {
			if levels[text] == nil {
				levels[text], attrs[text] = map[string]bool{}, map[string]bool{}
			}
			for _, l := range level {
				levels[text][strings.ToUpper(l)] = true
			}
			messages = append(messages, text)
		}
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fun, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		at, writes := logMethods[fun.Sel.Name]
		switch name := fun.Sel.Name; {
		case isSlog(fun.X) && slices.Contains(attrKinds, name):
			made[constants(call.Args[0], assigned)[0]] = true
		case writes && (isSlog(fun.X) || isLogger(fun.X)):
			level := []string{strings.TrimSuffix(name, "Context")}
			if at == 2 {
				level = constants(call.Args[1], assigned)
			}
			note(call, call.Args[at], level)
			for i := at + 1; i+1 < len(call.Args); i += 2 {
				for _, key := range constants(call.Args[i], assigned) {
					made[key] = true
				}
			}
		case name == lineFunc && len(call.Args) >= 3:
			note(call, call.Args[1], constants(call.Args[0], assigned))
			if fn.Name.Name != lineFunc {
				made[lineFunc] = true
			}
		}
		return true
	})
	if fn.Name.Name == lineFunc {
		if attrs[lineFunc] == nil {
			attrs[lineFunc] = map[string]bool{}
		}
		messages = []string{lineFunc}
	}
	for _, message := range messages {
		maps.Copy(attrs[message], made)
	}
	return faults
}

func isSlog(x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == "slog"
}

func isLogger(x ast.Expr) bool {
	s, ok := x.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Logger"
}

// assignments are the values that a function gives to each of its variables.
func assignments(fn *ast.FuncDecl) map[string][]ast.Expr {
	all := map[string][]ast.Expr{}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, to := range a.Lhs {
				if id, ok := to.(*ast.Ident); ok {
					all[id.Name] = append(all[id.Name], a.Rhs[i])
				}
			}
		}
		return true
	})
	return all
}

// constants are the texts, or the names of levels, that an expression may be.
func constants(e ast.Expr, assigned map[string][]ast.Expr) (all []string) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return []string{text}
		}
	case *ast.BinaryExpr:
		left, right := constants(e.X, assigned), constants(e.Y, assigned)
		if e.Op == token.ADD && len(left) == 1 && len(right) == 1 {
			return []string{left[0] + right[0]}
		}
	case *ast.SelectorExpr:
		if level, ok := strings.CutPrefix(e.Sel.Name, "Level"); ok && isSlog(e.X) {
			return []string{level}
		}
	case *ast.Ident:
		for _, value := range assigned[e.Name] {
			all = append(all, constants(value, nil)...)
		}
	}
	return all
}

// written joins levels and attributes as the table has them.
func written(levels, attrs map[string]map[string]bool) map[string]logLine {
	all := map[string]logLine{}
	for message, at := range levels {
		list := slices.Sorted(maps.Keys(attrs[message]))
		if attrs[message][lineFunc] {
			list = append(slices.DeleteFunc(list, func(name string) bool { return name == lineFunc }),
				slices.Collect(maps.Keys(attrs[lineFunc]))...)
			slices.Sort(list)
		}
		all[message] = logLine{strings.Join(slices.Sorted(maps.Keys(at)), ", "), strings.Join(list, ", ")}
	}
	return all
}

var (
	logRow  = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([A-Z, ]+) \\|([a-z_`, ]*)\\|")
	ofATerm = regexp.MustCompile("`([a-z_]+)`")
)

// documentedLines are the lines in the tables of docs/operating.md.
func documentedLines(page string) map[string]logLine {
	all := map[string]logLine{}
	for _, row := range logRow.FindAllStringSubmatch(page, -1) {
		levels := strings.Split(row[2], ", ")
		slices.Sort(levels)
		var attrs []string
		for _, name := range ofATerm.FindAllStringSubmatch(row[3], -1) {
			attrs = append(attrs, name[1])
		}
		slices.Sort(attrs)
		all[row[1]] = logLine{strings.Join(levels, ", "), strings.Join(attrs, ", ")}
	}
	return all
}

// TestEveryLineOfLogIsDocumented: operators search for messages and attributes, so that a change
// of one stands in docs/operating.md, and in the changelog.
func TestEveryLineOfLogIsDocumented(t *testing.T) {
	levels, attrs := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, f := range allGo(t) {
		if f.Test || !slices.Contains(giving, f.Dir()) {
			continue
		}
		for _, line := range logLines(f, levels, attrs) {
			t.Errorf("%s:%s: the message and the level of a line of log are constants, "+
				"or variables that the same function assigns constants to", f.Path, line)
		}
	}
	got := written(levels, attrs)
	want := documentedLines(readText(t, "docs/operating.md", "it lists the lines of log"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tables of docs/operating.md and the code differ in a message, a level or an attribute "+
			"(-docs +code):\n%s", diff)
	}
	for message := range got {
		if head, _, found := strings.Cut(message, ": "); found && slices.Contains(append(publicPackages, "usher"), head) {
			t.Errorf("%q: a message does not begin with the name of a package", message)
		}
	}
}

func TestLogLines(t *testing.T) {
	f := mustParse(t, "a.go", `package a
func (p *peer) log(level slog.Level, text string, attrs ...slog.Attr) { p.e.log(level, text, attrs...) }
func (e *endpoint) log(level slog.Level, text string, attrs ...slog.Attr) {
	r := slog.NewRecord(now(), level, text, 0)
	r.AddAttrs(slog.String("route", "x"))
}
func one() {
	level := slog.LevelInfo
	if bad { level = slog.LevelError }
	text := "a refused"
	if other { text = "b refused" }
	e.log(level, text, slog.Int("status", 1))
}
func two() {
	slog.InfoContext(ctx, "c " + "failed", "error", err)
	c.Logger.Warn("d failed")
	t.Error("no line")
	p.f(func() { p.log(slog.LevelWarn, "e failed", nil) })
}
func three() { slog.Log(ctx, slog.LevelDebug, "g", "n", 1) }
func bad(text string) { slog.Warn(text) }
`)
	levels, attrs := map[string]map[string]bool{}, map[string]map[string]bool{}
	if faults := logLines(f, levels, attrs); !slices.Equal(faults, []string{"21"}) {
		t.Errorf("faults in the lines %v", faults)
	}
	want := map[string]logLine{
		"a refused": {"ERROR, INFO", "route, status"}, "b refused": {"ERROR, INFO", "route, status"},
		"c failed": {"INFO", "error, route"}, "d failed": {"WARN", "error, route"}, "e failed": {"WARN", "error, route"},
		"g": {"DEBUG", "n"},
	}
	if diff := cmp.Diff(want, written(levels, attrs)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	page := "| message | level | attributes | when |\n|---|---|---|---|\n| `a refused` | INFO, ERROR | `status`, `route` | so |\n| `g` | DEBUG | | so |\n"
	if diff := cmp.Diff(map[string]logLine{"a refused": {"ERROR, INFO", "route, status"}, "g": {"DEBUG", ""}}, documentedLines(page)); diff != "" {
		t.Errorf("documentedLines (-want +got):\n%s", diff)
	}
}
