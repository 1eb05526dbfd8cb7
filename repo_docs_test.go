package usher_test

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goMod is what the tests want to know of a go.mod.
type goMod struct {
	Direct   []string // what it requires and imports
	Replaces []string
}

// parseMod reads the directives require and replace, as go mod tidy writes them.
func parseMod(text string) (mod goMod) {
	block := ""
	for line := range strings.Lines(text) {
		code, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 0:
			continue
		case words[0] == ")":
			block = ""
			continue
		case len(words) == 2 && words[1] == "(":
			block = words[0]
			continue
		case block != "":
			words = slices.Insert(words, 0, block)
		}
		switch words[0] {
		case "require":
			if strings.TrimSpace(comment) != "indirect" {
				mod.Direct = append(mod.Direct, words[1])
			}
		case "replace":
			mod.Replaces = append(mod.Replaces, words[1])
		}
	}
	slices.Sort(mod.Direct)
	return mod
}

var dependencyItem = regexp.MustCompile("(?m)^- `([^`]+)`(.*)")

// justified returns the modules in the list below the heading Dependencies.
func justified(contributing string) (modules []string) {
	_, section, _ := strings.Cut(contributing, "\n## Dependencies\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, item := range dependencyItem.FindAllStringSubmatch(section, -1) {
		if strings.TrimSpace(item[2]) != "" {
			modules = append(modules, item[1])
		}
	}
	slices.Sort(modules)
	return modules
}

func TestDependencies(t *testing.T) {
	mod := parseMod(readText(t, "go.mod", "it names the module"))
	if len(mod.Replaces) > 0 {
		t.Errorf("go.mod replaces %v: a program that imports usher would not; require a release instead", mod.Replaces)
	}
	want := justified(readText(t, "CONTRIBUTING.md", "it justifies the dependencies"))
	if diff := cmp.Diff(want, mod.Direct); diff != "" {
		t.Errorf("the direct requirements of go.mod and the list under Dependencies in CONTRIBUTING.md differ: "+
			"say there what a new one is for, drop what is unused (-CONTRIBUTING.md +go.mod):\n%s", diff)
	}
}

func TestParseMod(t *testing.T) {
	got := parseMod("module m\n\nrequire c v1\n\nrequire (\n\tb v1\n\ta v1 // why\n\td v1 // indirect\n)\n\n" +
		"replace e => ./e\n\nreplace (\n\tf v1 => ./f\n)\n// replace g => ./g\n")
	want := goMod{Direct: []string{"a", "b", "c"}, Replaces: []string{"e", "f"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parseMod (-want +got):\n%s", diff)
	}
	listed := justified("# C\n- `x` no\n\n## Dependencies\n\nWords.\n\n- `b` is for this.\n- `a`\n  is not said.\n- `c` is too.\n\n## More\n\n- `d` no\n")
	if diff := cmp.Diff([]string{"b", "c"}, listed); diff != "" {
		t.Errorf("justified (-want +got):\n%s", diff)
	}
}

// block is a fenced block of a document.
type block struct {
	Line     int // of its first line
	Language string
	Lines    []string
}

// fences splits a document into its fenced blocks and the prose around them, in
// which the lines of blocks are empty.
func fences(text string) (blocks []block, prose []string) {
	var open *block
	for i, line := range strings.Split(text, "\n") {
		word, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &block{Line: i + 2, Language: strings.TrimSpace(word)}
		case fence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.Lines = append(open.Lines, line)
		default:
			prose = append(prose, line)
			continue
		}
		prose = append(prose, "")
	}
	if open != nil {
		blocks = append(blocks, *open)
	}
	return blocks, prose
}

// bare takes from lines what a copy in a document may lack: the tabs before them
// and the space after them.
func bare(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimRight(strings.TrimLeft(line, "\t"), " \t\r")
	}
	return out
}

const elision = "// …"

// runs splits a block at its elisions, and drops the empty lines at the ends of
// each run.
func runs(lines []string) (split [][]string) {
	var run []string
	for _, line := range append(bare(lines), elision) {
		if line != elision {
			if line != "" || len(run) > 0 {
				run = append(run, line)
			}
			continue
		}
		for len(run) > 0 && run[len(run)-1] == "" {
			run = run[:len(run)-1]
		}
		if len(run) > 0 {
			split = append(split, run)
		}
		run = nil
	}
	return split
}

// found returns how many runs, in their order, stand in the lines of a file.
func found(file []string, split [][]string) (count int) {
	for _, run := range split {
		at := slices.IndexFunc(windows(file, len(run)), func(w []string) bool { return slices.Equal(w, run) })
		if at < 0 {
			break
		}
		file, count = file[at+len(run):], count+1
	}
	return count
}

// windows returns each size lines that follow one another.
func windows(lines []string, size int) (all [][]string) {
	for i := 0; i+size <= len(lines); i++ {
		all = append(all, lines[i:i+size])
	}
	return all
}

func TestDocumentedCode(t *testing.T) {
	sources := map[string][][]string{} // by language
	for _, f := range allGo(t) {
		if !strings.Contains(f.Text, "//go:build "+"ignore") {
			sources["go"] = append(sources["go"], bare(strings.Split(f.Text, "\n")))
		}
	}
	for _, f := range allText(t) {
		if path.Ext(f.Path) == ".js" {
			sources["js"] = append(sources["js"], bare(strings.Split(f.Text, "\n")))
		}
	}
	sketches := map[string]bool{"docs/refusing.md": true} // JavaScript of no example
	readText(t, "README.md", "it is the first that a newcomer sees")
	for _, doc := range allText(t) {
		if doc.Path != "README.md" && (path.Dir(doc.Path) != "docs" || path.Ext(doc.Path) != ".md") {
			continue
		}
		blocks, _ := fences(doc.Text)
		for _, b := range blocks {
			if sources[b.Language] == nil || b.Language == "js" && sketches[doc.Path] {
				continue
			}
			split, best := runs(b.Lines), 0
			for _, source := range sources[b.Language] {
				best = max(best, found(source, split))
			}
			if best < len(split) {
				t.Errorf("%s:%d: no file of the repository has this code (run %d, %q and what follows): copy it "+
					"from one that compiles or is served, and put a line %q where something is left out",
					doc.Path, b.Line, best+1, split[best][0], elision)
			}
		}
	}
}

func TestFound(t *testing.T) {
	file := bare(strings.Split("package a\n\nfunc f() {\n\tone()\n\n\ttwo()\n\tthree() \n}\n", "\n"))
	for _, tt := range []struct {
		block string
		want  bool
	}{
		{"one()\n\ntwo()", true},
		{"\tone()\n\n\ttwo()  \n", true},
		{"\none()\n", true},
		{"one()\ntwo()", false},
		{"one()\n// …\nthree()", true},
		{"one()\n\t// …\n\n\tthree()\n}", true},
		{"three()\n// …\none()", false},
		{"// …\ntwo()\n// …", true},
		{"two", false},
		{"one()\n// …\none()", false},
		{"  one()", false},
	} {
		split := runs(strings.Split(tt.block, "\n"))
		if got := found(file, split) == len(split); got != tt.want {
			t.Errorf("found(%q) = %t, want %t", tt.block, got, tt.want)
		}
	}
}

func TestFences(t *testing.T) {
	blocks, prose := fences("a\n```go\nb\n```\nc\n```\nd\n```\n```sh\ne")
	wantBlocks := []block{{3, "go", []string{"b"}}, {7, "", []string{"d"}}, {10, "sh", []string{"e"}}}
	if diff := cmp.Diff(wantBlocks, blocks); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "", "", "", "c", "", "", "", "", ""}, prose); diff != "" {
		t.Errorf("prose (-want +got):\n%s", diff)
	}
}

var link = regexp.MustCompile("`[^`]*`" + `|\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s+<?([^\s>]+)`)

// place is what a relative link leads to: a file or directory, from the root, and
// perhaps a heading in it.
type place struct{ File, Anchor string }

// relativeLinks returns where a document links to, keyed by link.
func relativeLinks(doc repoFile) map[string]place {
	links := map[string]place{}
	_, prose := fences(doc.Text)
	for _, line := range prose {
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			target := m[1] + m[2]
			u, err := url.Parse(target)
			if err != nil || u.Scheme != "" || u.Host != "" || target == "" {
				continue
			}
			file := doc.Path
			if u.Path != "" {
				file = path.Join(path.Dir(doc.Path), u.Path)
			}
			links[target] = place{file, u.Fragment}
		}
	}
	return links
}

var (
	heading   = regexp.MustCompile(`^#{1,6}\s+(.*?)[\s#]*$`)
	noAnchor  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	linkTexts = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	placed    = regexp.MustCompile(`<a id="([^"]+)"></a>`)
)

// anchors returns what a link can name of a document: its headings in lower case,
// with dashes for spaces and without punctuation, of which a second one of a name gets -1; and
// places with an id.
func anchors(text string) map[string]bool {
	all, seen := map[string]bool{}, map[string]int{}
	_, prose := fences(text)
	for _, line := range prose {
		for _, id := range placed.FindAllStringSubmatch(line, -1) {
			all[id[1]] = true
		}
		m := heading.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		words := noAnchor.ReplaceAllString(linkTexts.ReplaceAllString(m[1], "$1"), "")
		anchor := strings.ReplaceAll(strings.ToLower(words), " ", "-")
		if n := seen[anchor]; n > 0 {
			all[fmt.Sprintf("%s-%d", anchor, n)] = true
		} else {
			all[anchor] = true
		}
		seen[anchor]++
	}
	return all
}

func TestLinks(t *testing.T) {
	for _, doc := range allText(t) {
		if path.Ext(doc.Path) != ".md" {
			continue
		}
		for target, to := range relativeLinks(doc) {
			if _, err := os.Stat(to.File); err != nil {
				t.Errorf("%s links to %s, and there is no %s: correct the link", doc.Path, target, to.File)
			} else if to.Anchor != "" && path.Ext(to.File) == ".md" && !anchors(readText(t, to.File, "a link leads to it"))[to.Anchor] {
				t.Errorf("%s links to %s, and %s has no such heading: correct the link", doc.Path, target, to.File)
			}
		}
	}
}

func TestRelativeLinks(t *testing.T) {
	got := relativeLinks(repoFile{"docs/a.md", "[b](b.md#c) [d](../d.go \"title\") [e](https://e.org) [f](#f)\n" +
		"[g]: ../g\n`[h](h)` [`i`](i.md) ![j](j.png) [k](mailto:k@l.org)\n```\n[m](m.md)\n```\n"})
	want := map[string]place{
		"b.md#c": {"docs/b.md", "c"}, "../d.go": {"d.go", ""}, "#f": {"docs/a.md", "f"}, "../g": {"g", ""},
		"i.md": {"docs/i.md", ""}, "j.png": {"docs/j.png", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("relativeLinks (-want +got):\n%s", diff)
	}
}

func TestAnchors(t *testing.T) {
	got := anchors("# A title\n## What `f()` does, and why\n### [Link](x.md) ##\n# A title\n#no\n```\n# comment\n```\n" +
		"| a | <a id=\"b\"></a><a id=\"c_d\"></a>e |\n")
	want := map[string]bool{"a-title": true, "what-f-does-and-why": true, "link": true, "a-title-1": true, "b": true, "c_d": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("anchors (-want +got):\n%s", diff)
	}
}
