package usher_test

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The patterns are put together so that this file does not match them.
var (
	machinePath = regexp.MustCompile(`(^|[^a-zA-Z.])/(work|farm|root|home)/`)
	reminder    = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)
)

// textFault returns what is wrong with a line of text, or nothing.
func textFault(line string) string {
	if machinePath.MatchString(line) {
		return "it has a path of one machine: write a relative one, or an invented one such as /srv/app"
	}
	if reminder.MatchString(line) {
		return "it has a reminder: do it now, or open an issue and take it out"
	}
	return ""
}

func TestText(t *testing.T) {
	for _, f := range allText(t) {
		if path.Base(f.Path) == "go.sum" {
			continue
		}
		for i, line := range strings.Split(f.Text, "\n") {
			if fault := textFault(line); fault != "" {
				t.Errorf("%s:%d: %s", f.Path, i+1, fault)
			}
		}
	}
}

func TestTextFault(t *testing.T) {
	for line, want := range map[string]bool{
		"/work" + "/main":            true,
		"in /home" + "/someone":      true,
		`"/root` + `/go"`:            true,
		"./home" + "/page":           false,
		"example.com/home" + "/page": false,
		"/homes/page":                false,
		"// TO" + "DO: later":        true,
		"FIX" + "ME":                 true,
		"X" + "XX here":              true,
		"X" + "XX" + "X":             false,
		"to" + "do":                  false,
	} {
		if got := textFault(line) != ""; got != want {
			t.Errorf("textFault(%q): got %t, want %t", line, got, want)
		}
	}
}

// sleeps returns the lines on which a file calls time.Sleep although it does not
// import testing/synctest.
func sleeps(f goFile) (lines []int) {
	if slices.Contains(f.Imports(), "testing/synctest") {
		return nil
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
				lines = append(lines, f.Line(s.Pos()))
			}
		}
		return true
	})
	return lines
}

func TestNoRealSleep(t *testing.T) {
	for _, f := range allGo(t) {
		if !f.Test {
			continue
		}
		for _, line := range sleeps(f) {
			t.Errorf("%s:%d: the test sleeps for real: use testing/synctest, or wait for what it waits for", f.Path, line)
		}
	}
}

func TestSleeps(t *testing.T) {
	const body = "\nfunc f() { time.Sleep(1) }\n"
	if got := sleeps(mustParse(t, "a_test.go", "package a"+body)); !slices.Equal(got, []int{2}) {
		t.Errorf("sleeps of a real sleep = %v, want line 2", got)
	}
	if got := sleeps(mustParse(t, "a_test.go", "package a; import \"testing/synctest\""+body)); got != nil {
		t.Errorf("sleeps in a bubble = %v, want none", got)
	}
	if got := sleeps(mustParse(t, "a_test.go", "package a // time.Sleep(1)")); got != nil {
		t.Errorf("sleeps of a comment = %v, want none", got)
	}
}
