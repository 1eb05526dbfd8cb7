package differential

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// difference is an answer of usher's that is not the reference's.
type difference[C fmt.Stringer] struct {
	name string
	// page is the file, from the root of the repository, that names the difference with
	// these words.
	page, words string
	// fault says what usher should answer instead, of a difference without a page.
	fault string
	// usher is the answer that usher must give to such a case, or false for another case.
	usher func(C) (answer string, applies bool)
}

// differences are those of one target.
type differences[C fmt.Stringer] struct {
	list []difference[C]
	met  map[string]bool
}

func namedDifferences[C fmt.Stringer](list ...difference[C]) *differences[C] {
	return &differences[C]{list: list, met: map[string]bool{}}
}

// compare fails the test if the answers differ, unless the first difference that applies to
// the case demands just usher's answer. A fault excuses its own answer, and no other is wrong
// for it.
func (d *differences[C]) compare(t *testing.T, c C, usher, reference string) {
	t.Helper()
	if usher == reference {
		return
	}
	for _, known := range d.list {
		want, applies := known.usher(c)
		if !applies || known.fault != "" && usher != want {
			continue
		}
		d.met[known.name] = true
		if usher != want {
			t.Errorf("%+q\nusher:     %s\nreference: %s\nwant:      %s, since %s",
				c.String(), usher, reference, want, known.name)
		}
		return
	}
	t.Errorf("%+q\nusher:     %s\nreference: %s\nno page names this difference", c.String(), usher, reference)
}

// check fails if a page no longer names a difference, or no seed shows it any more. It is
// called behind f.Fuzz, when all seeds have run.
func (d *differences[C]) check(f *testing.F) {
	f.Helper()
	for _, known := range d.list {
		if known.fault == "" && !strings.Contains(page(f, known.page), strings.Join(strings.Fields(known.words), " ")) {
			f.Errorf("%s does not say %q: name the difference there", known.page, known.words)
		}
	}
	if f.Failed() || fuzzing() || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // not all seeds have run
	}
	for _, known := range d.list {
		if !d.met[known.name] {
			f.Errorf("no seed shows the difference %q: if it is mended, take it out of the list", known.name)
		}
	}
}

// fuzzing says that the engine will run, which spends some 25 ms on each seed: targets with
// many add a few then.
func fuzzing() bool { return flag.Lookup("test.fuzz").Value.String() != "" }

// page is the text of a file with one space between words, without the marks of comments.
func page(f *testing.F, name string) string {
	f.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		f.Fatal(err)
	}
	plain := strings.ReplaceAll("\n"+string(text), "\n//", "\n")
	return strings.Join(strings.Fields(plain), " ")
}
