package usher_test

import (
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// giving are the packages that give reasons of usher's own.
var giving = []string{"depends", "security", "wsroute", "internal/bind", "internal/graph", "internal/wsconn"}

// refusing are the functions that take a reason.
var refusing = []string{
	"refusal", "bad", "limitReached", "breach", "discarding", "unavailable", "invalidToken",
	"RefuseUnknown", "Forbidden", "NotFound", "End",
}

var reason = regexp.MustCompile(`^"[a-z]+(_[a-z0-9]+)*"$`)

// reasons adds those that a file gives to a refusal or a close frame.
func reasons(f goFile, all map[string]bool) {
	add := func(e ast.Expr) {
		if text, ok := e.(*ast.BasicLit); ok && reason.MatchString(text.Value) {
			word, _ := strconv.Unquote(text.Value)
			all[word] = true
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := ""
			switch fun := n.Fun.(type) {
			case *ast.Ident:
				name = fun.Name
			case *ast.SelectorExpr:
				name = fun.Sel.Name
			}
			if slices.Contains(refusing, name) {
				for _, arg := range n.Args {
					add(arg)
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Reason" {
				add(n.Value)
			}
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if field, ok := to.(*ast.SelectorExpr); ok && field.Sel.Name == "Reason" && i < len(n.Rhs) {
					add(n.Rhs[i])
				}
			}
		}
		return true
	})
}

var (
	reasonRow  = regexp.MustCompile("(?m)^\\| (`[a-z0-9_`, ]+`) \\| [0-9, ]+ \\| (.*)")
	reasonName = regexp.MustCompile("`([a-z0-9_]+)`")
)

// TestEveryReasonIsExplained: who finds a reason in the log finds it in the book, with what to do.
func TestEveryReasonIsExplained(t *testing.T) {
	used, code := map[string]bool{}, ""
	for _, f := range allGo(t) {
		if !f.Test && slices.Contains(giving, f.Dir()) {
			reasons(f, used)
			code += f.Text
		}
	}
	explained := map[string]bool{}
	page := readText(t, "docs/troubleshooting.md", "it explains each reason")
	refused, closed, _ := strings.Cut(page, "\n## An open connection is closed\n")
	for i, row := range reasonRow.FindAllStringSubmatch(page, -1) {
		prefix := ""
		if i >= len(reasonRow.FindAllString(refused, -1)) {
			prefix = "closed-"
		}
		for _, name := range reasonName.FindAllStringSubmatch(row[1], -1) {
			explained[name[1]] = true
			if anchor := `<a id="` + prefix + name[1] + `"></a>`; !strings.Contains(row[2], anchor) {
				t.Errorf("no link can name the row of %s in docs/troubleshooting.md: put %s into its last cell", name[1], anchor)
			}
			if !strings.Contains(code, strconv.Quote(name[1])) {
				t.Errorf("docs/troubleshooting.md explains %s, which nothing is refused with: take it out", name[1])
			}
		}
	}
	if len(reasonRow.FindAllString(closed, -1)) == 0 {
		t.Error("docs/troubleshooting.md has no row for the end of a connection")
	}
	for name := range used {
		if !explained[name] {
			t.Errorf("%s is on no row of a table of docs/troubleshooting.md: say there what to do", name)
		}
	}
	if len(used) < 40 {
		t.Errorf("only %d reasons are found in the code: name the functions that take them in refusing", len(used))
	}
}

func TestReasons(t *testing.T) {
	got := map[string]bool{}
	reasons(mustParse(t, "a.go", "package a\n\nfunc f() {\n\trefusal(400, \"one\")\n\tp.End(err, 1008, \"two_a\")\n\t"+
		"_ = R{Reason: \"three\", Other: \"x\"}\n\tr.Reason, n = \"four\", \"x\"\n\tother(\"x\")\n\tbad(\"No Reason\")\n}\n"), got)
	if diff := cmp.Diff([]string{"four", "one", "three", "two_a"}, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}
