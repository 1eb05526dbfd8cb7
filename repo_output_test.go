package usher_test

import (
	"go/doc"
	"path"
	"slices"
	"strings"
	"testing"
)

// writtenWhole are the pages that a test writes from the first line to the last,
// and compares: what they show needs no other golden.
var writtenWhole = map[string]string{"docs/errors.md": "internal/mistakes/mistakes_test.go"}

// output is what a test of the repository produces and compares.
type output struct {
	lines []string
	whole bool // the output of an example is shown from its beginning to its end
}

const omission = "…"

// shows reports whether a block stands in an output: line by line, but for space
// at their ends and for what its lines of an omission leave out.
func (o output) shows(block []string) bool {
	lines, split := o.lines, parts(block)
	for i, part := range split {
		at := slices.IndexFunc(windows(lines, len(part)), func(w []string) bool { return slices.Equal(w, part) })
		if at < 0 || o.whole && i == 0 && at > 0 {
			return false
		}
		lines = lines[at+len(part):]
	}
	omitted := len(split[len(split)-1]) == 0
	return slices.ContainsFunc(split, func(part []string) bool { return len(part) > 0 }) && (!o.whole || omitted || len(lines) == 0)
}

// parts splits a block at its lines of an omission. Empty lines around them are
// part of what is left out.
func parts(block []string) (split [][]string) {
	var part []string
	for _, line := range append(trimmed(block), omission) {
		if line == omission {
			split, part = append(split, trimmed(part)), nil
			continue
		}
		part = append(part, line)
	}
	return split
}

// trimmed takes the space from the ends of lines, and the empty lines from the
// beginning and the end.
func trimmed(lines []string) []string {
	var out []string
	for _, line := range lines {
		if line = strings.TrimRight(line, " \t\r"); line != "" || len(out) > 0 {
			out = append(out, line)
		}
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// golden reports whether a file is one that a test may compare with what it gets:
// below a testdata that the tests beside it name.
func golden(name string, tests map[string]string) bool {
	dir, rest, found := strings.Cut("/"+name, "/testdata/")
	return found && !strings.HasPrefix(rest, "fuzz/") && strings.Contains(tests[strings.TrimPrefix(dir, "/")], "testdata")
}

// outputs collects what the tests compare: the outputs of examples and the files
// below testdata.
func outputs(texts []repoFile, files []goFile) (all []output) {
	tests := map[string]string{}
	for _, f := range files {
		if !f.Test {
			continue
		}
		tests[f.Dir()] += f.Text
		for _, example := range doc.Examples(f.AST) {
			if example.Output != "" && !example.Unordered {
				all = append(all, output{trimmed(strings.Split(example.Output, "\n")), true})
			}
		}
	}
	for _, f := range texts {
		if golden(f.Path, tests) {
			all = append(all, output{trimmed(strings.Split(f.Text, "\n")), false})
		}
	}
	return all
}

func TestShownOutput(t *testing.T) {
	all := outputs(allText(t), allGo(t))
	for _, page := range allText(t) {
		if page.Path != "README.md" && (path.Dir(page.Path) != "docs" || path.Ext(page.Path) != ".md") {
			continue
		}
		if by, whole := writtenWhole[page.Path]; whole {
			if !strings.Contains(readText(t, by, "it writes "+page.Path), page.Path) {
				t.Errorf("%s does not write %s: correct writtenWhole", by, page.Path)
			}
			continue
		}
		blocks, _ := fences(page.Text)
		for _, b := range blocks {
			if b.Language != "text" && b.Language != "" {
				continue
			}
			if !slices.ContainsFunc(all, func(o output) bool { return o.shows(b.Lines) }) {
				t.Errorf("%s:%d: no test produces this: copy it from a file below a testdata, which a test compares with what "+
					"it gets, or from the output of an example, and put a line %q where something is left out", page.Path, b.Line, omission)
			}
		}
	}
}

func TestShows(t *testing.T) {
	lines := trimmed(strings.Split("\none\n\n  two\nthree \nfour\n\n", "\n"))
	for _, tt := range []struct {
		block         string
		file, example bool
	}{
		{"one\n\n  two\nthree\nfour", true, true},
		{"\none\n\n  two \nthree\nfour\n", true, true},
		{"one\n\n  two", true, false},
		{"three\nfour", true, false},
		{"one\n…\nfour", true, true},
		{"one\n\n…\n\nthree\nfour", true, true},
		{"…\nthree\nfour", true, true},
		{"one\n…", true, true},
		{"…\nthree\n…", true, true},
		{"…\nthree", true, false},
		{"three\n…", true, false},
		{"one\n  two", false, false},
		{"two", false, false},
		{"tw", false, false},
		{"one\n…\none", false, false},
		{"three\n…\none", false, false},
		{"five", false, false},
		{"…", false, false},
		{"", false, false},
	} {
		block := strings.Split(tt.block, "\n")
		if got := (output{lines, false}).shows(block); got != tt.file {
			t.Errorf("a file shows %q: got %t, want %t", tt.block, got, tt.file)
		}
		if got := (output{lines, true}).shows(block); got != tt.example {
			t.Errorf("an example shows %q: got %t, want %t", tt.block, got, tt.example)
		}
	}
}

func TestOutputs(t *testing.T) {
	const source = "package a\n\nconst golden = \"testdata/b.txt\"\n\n" +
		"func ExampleA() {\n\tf()\n\t// Output:\n\t// one\n\t// two\n}\n\n" +
		"func ExampleB() {\n\tf()\n\t// Unordered output:\n\t// three\n}\n\nfunc ExampleC() {\n\t// four\n}\n"
	all := outputs([]repoFile{
		{"a/testdata/b.txt", "five\n"},
		{"a/testdata/fuzz/FuzzF/1", "six\n"},
		{"b/testdata/b.txt", "seven\n"},
		{"a/b.txt", "eight\n"},
	}, []goFile{
		mustParse(t, "a/a_test.go", source),
		mustParse(t, "a/a.go", strings.ReplaceAll(source, "one", "nine")),
	})
	for line, want := range map[string]bool{
		"one\ntwo": true, "three": false, "four": false, "five": true, "six": false, "seven": false, "eight": false, "nine\ntwo": false,
	} {
		got := slices.ContainsFunc(all, func(o output) bool { return o.shows(strings.Split(line, "\n")) })
		if got != want {
			t.Errorf("%q is the output of a test: got %t, want %t", line, got, want)
		}
	}
}
