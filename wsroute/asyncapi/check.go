package asyncapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// tb is what [Check] needs of a *testing.T.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// updateVariable says that Check may write: "additive", or "breaking" for every difference.
const updateVariable = "ASYNCAPI_UPDATE"

// Check compares a document with the one that a repo keeps in a file, in a test:
//
//	asyncapi.Check(t, doc, "testdata/asyncapi.json")
//
// Any difference fails the test, with its place, and is named additive or breaking: whether a
// client that was made of the file goes on to work. So a review sees each change of the contract.
// With ASYNCAPI_UPDATE=additive in the environment, a file that lacks nothing but additive changes
// is written anew; with ASYNCAPI_UPDATE=breaking, any is. A missing file is written with either.
func Check(t tb, doc *Document, file string) {
	t.Helper()
	update := os.Getenv(updateVariable)
	if update != "" && update != "additive" && update != "breaking" {
		t.Fatalf("%s is %q: set additive or breaking", updateVariable, update)
	}
	before, err := os.ReadFile(file)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist), err != nil && update == "":
		t.Fatalf("asyncapi: %v; to write it, run the test with %s=additive", err, updateVariable)
	case bytes.Equal(before, doc.JSON()):
		return
	}
	changes := []Change{}
	if err == nil {
		if changes, err = Compare(before, doc.JSON()); err != nil {
			t.Fatalf("asyncapi: %s: %v", file, err)
		}
	}
	breaks := false
	for _, c := range changes {
		breaks = breaks || c.Breaking
	}
	if update == "breaking" || update == "additive" && !breaks {
		err := os.WriteFile(file, doc.JSON(), 0o644) //nolint:gosec // a file of a repo
		if err != nil {
			t.Fatalf("asyncapi: %v", err)
		}
		t.Logf("asyncapi: wrote %s", file)
		return
	}
	text, needed := "", "additive"
	for _, c := range changes {
		text += "\n  " + c.String()
	}
	if breaks {
		needed = "breaking"
	}
	if text == "" {
		text = "\n  the same in another form"
	}
	t.Errorf("asyncapi: %s is not the document of the program:%s\n"+
		"if it is as it should be, run the test with %s=%s",
		file, text, updateVariable, needed)
}

// Change is a difference between two documents.
type Change struct {
	Path     string // such as channels/rooms.room/messages/say/text
	Text     string // what has changed
	Breaking bool   // a client of the old document may fail
}

// String is one line.
func (c Change) String() string {
	kind := "additive"
	if c.Breaking {
		kind = "breaking"
	}
	return kind + ": " + c.Path + ": " + c.Text
}

// Compare lists how a document differs from one before, in the order of the document. What a
// program receives may be read more generously than before, and what it sends may be less.
func Compare(before, after []byte) ([]Change, error) {
	var c comparison
	for _, side := range []struct {
		text []byte
		into *map[string]any
	}{{before, &c.before}, {after, &c.after}} {
		if err := json.Unmarshal(side.text, side.into); err != nil {
			return nil, fmt.Errorf("no AsyncAPI document: %w", err)
		}
		if version, _ := (*side.into)["asyncapi"].(string); !strings.HasPrefix(version, "3.") {
			return nil, fmt.Errorf("no AsyncAPI document of version 3, but %q", version)
		}
	}
	c.document()
	return c.changes, nil
}
