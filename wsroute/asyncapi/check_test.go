package asyncapi_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/wsroute/asyncapi"
)

// edit is a change of a document: the value at a path of members and indices. nil removes it.
type edit struct {
	path string
	to   any
	more bool // it is added to a list
}

// edited returns testdata/document.json with edits.
func edited(t *testing.T, edits ...edit) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/document.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		parts := strings.Split(e.path, " ")
		at := doc
		for _, part := range parts[:len(parts)-1] {
			at = step(t, at, part)
		}
		object, last := at.(map[string]any), parts[len(parts)-1]
		if list, ok := object[last].([]any); ok && e.more {
			object[last] = append(list, e.to)
			continue
		}
		if e.to == nil {
			if object[last] == nil {
				t.Fatalf("nothing stands at %s", e.path)
			}
			delete(object, last)
			continue
		}
		object[last] = e.to
	}
	text, err = json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func step(t *testing.T, at any, part string) any {
	t.Helper()
	var next any
	switch at := at.(type) {
	case map[string]any:
		next = at[part]
	case []any:
		var i int
		if _, err := fmt.Sscan(part, &i); err != nil || i >= len(at) {
			t.Fatalf("no item %s", part)
		}
		next = at[i]
	}
	if next == nil {
		t.Fatalf("nothing stands at %s", part)
	}
	return next
}

const (
	chatChannel = "channels ws.rooms.room "
	sayOf       = "operations receive.ws.rooms.room.say "
	saySchema   = "components schemas say.received "
	saidSchema  = "components schemas said.sent "
)

// breakingChanges are those after which a client of the old document fails.
var breakingChanges = map[string][]edit{
	"a channel is removed":            {{path: "channels raw"}},
	"an address changes":              {{path: chatChannel + "address", to: "/rooms/{room}"}},
	"a parameter is required":         {{path: chatChannel + "bindings ws query required", to: []any{"since"}}},
	"a parameter's rule is tighter":   {{path: chatChannel + "bindings ws query properties since minimum", to: 1}},
	"a received type is removed":      {{path: chatChannel + "messages ask"}},
	"a sent type is removed":          {{path: chatChannel + "messages token"}},
	"a received member is required":   {{path: saySchema + "required", to: []any{"kind", "text"}}},
	"a received rule is tighter":      {{path: saySchema + "properties text maxLength", to: 100}},
	"a received choice goes":          {{path: saySchema + "properties kind anyOf 1 enum", to: []any{"plain"}}},
	"a received type narrows":         {{path: saySchema + "properties text type", to: "integer"}},
	"a sent member is removed":        {{path: saidSchema + "properties at"}},
	"a sent member may be missing":    {{path: saidSchema + "required", to: []any{"at", "id", "tags"}}},
	"a sent member may be null":       {{path: saidSchema + "properties text type", to: []any{"string", "null"}}},
	"a message demands a new scope":   {{path: sayOf + "x-scopes", to: []any{"chat", "talk"}}},
	"a message has another answer":    {{path: sayOf + "x-answer", to: "answer"}},
	"a source of credentials is gone": {{path: chatChannel + "x-security 0 sources", to: []any{map[string]any{"in": "query", "name": "ticket", "wire": "?ticket=<credential>", "x-ticket": map[string]any{"once": true}}}}},
	"a credential is demanded":        {{path: "channels ws.echo x-security", to: []any{map[string]any{"scheme": "Opaque", "challenge": "Bearer", "sources": []any{}}}}},
	"the limit of a message sinks":    {{path: chatChannel + "x-limits readLimit", to: 1000}},
	"no renewal any more":             {{path: chatChannel + "x-renewable"}},
	"the type stands elsewhere":       {{path: chatChannel + "x-type-member", to: "kind"}},
	"a server is gone":                {{path: "servers production"}},
}

// additiveChanges leave a client of the old document as it was.
var additiveChanges = map[string][]edit{
	"a new channel":                   {{path: "channels new", to: map[string]any{"address": "/new"}}},
	"a new version":                   {{path: "info version", to: "1.5.0"}},
	"a new server":                    {{path: "servers staging", to: map[string]any{"host": "staging.example.com", "protocol": "wss"}}},
	"a new optional parameter":        {{path: chatChannel + "bindings ws query properties until", to: map[string]any{"type": "integer"}}},
	"a received member is new":        {{path: saySchema + "properties mood", to: map[string]any{"type": "string"}}},
	"a received rule is looser":       {{path: saySchema + "properties text maxLength", to: 1000}},
	"a received member may be absent": {{path: saySchema + "required", to: []any{}}},
	"a received choice is new":        {{path: saySchema + "properties kind anyOf 1 enum", to: []any{"plain", "loud", "sad"}}},
	"a sent member is new":            {{path: saidSchema + "properties edited", to: map[string]any{"type": "boolean"}}},
	"a sent rule is tighter":          {{path: saidSchema + "properties text maxLength", to: 500}},
	"a sent type is new":              {{path: chatChannel + "messages left", to: map[string]any{"$ref": "#/components/messages/error"}}},
	"a new close code":                {{chatChannel + "x-close-codes", map[string]any{"code": 4005, "reconnect": "never"}, true}},
	"a scope less":                    {{path: sayOf + "x-scopes"}},
	"another description":             {{path: sayOf + "description", to: "says it"}},
	"a larger message":                {{path: chatChannel + "x-limits readLimit", to: 100000}},
}

// TestChangesAreJudged: the direction decides.
func TestChangesAreJudged(t *testing.T) {
	before := edited(t)
	if changes, err := asyncapi.Compare(before, edited(t)); err != nil || len(changes) > 0 {
		t.Errorf("the same document: %v, %v", changes, err)
	}
	var lines []string
	for breaking, cases := range map[bool]map[string][]edit{true: breakingChanges, false: additiveChanges} {
		for name, edits := range cases {
			changes, err := asyncapi.Compare(before, edited(t, edits...))
			if err != nil || len(changes) == 0 {
				t.Errorf("%s: %v, %v", name, changes, err)
			}
			isBreaking := func(c asyncapi.Change) bool { return c.Breaking }
			if slices.ContainsFunc(changes, isBreaking) != breaking {
				t.Errorf("%s: %v", name, changes)
			}
			text := name + "\n"
			for _, c := range changes {
				text += c.String() + "\n"
			}
			lines = append(lines, text)
		}
	}
	slices.Sort(lines)
	golden(t, "testdata/changes.txt", strings.Join(lines, "\n"))
}

// golden compares a text with a file, or writes it.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if os.Getenv("ASYNCAPI_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// reporter is a test whose report is looked at.
type reporter struct{ text string }

func (r *reporter) Helper()                           {}
func (r *reporter) Errorf(format string, args ...any) { r.text += fmt.Sprintf(format, args...) }
func (r *reporter) Logf(format string, args ...any)   {}
func (r *reporter) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// check calls Check with a variable of the environment, and returns what it reports.
func check(t *testing.T, doc *asyncapi.Document, file, update string) string {
	t.Helper()
	t.Setenv("ASYNCAPI_UPDATE", update)
	r := &reporter{}
	func() {
		defer func() {
			if v := recover(); v != nil && v != any(r) {
				panic(v)
			}
		}()
		asyncapi.Check(r, doc, file)
	}()
	return r.text
}

func TestCheck(t *testing.T) {
	doc, file := described(t, room()), filepath.Join(t.TempDir(), "asyncapi.json")
	has := func(got, want string) {
		t.Helper()
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has(check(t, doc, file, ""), "to write it, run the test with ASYNCAPI_UPDATE=additive")
	has(check(t, doc, file, "1"), `ASYNCAPI_UPDATE is "1": set additive or breaking`)
	has(check(t, doc, file, "additive"), "")
	has(check(t, doc, file, ""), "")
	write(edited(t))
	has(check(t, doc, file, ""), "the same in another form")
	write(edited(t, edit{path: saySchema + "properties text maxLength", to: 100}))
	has(check(t, doc, file, ""), "additive: channels/ws.rooms.room/messages/say/text: maxLength was 100, is 500")
	has(check(t, doc, file, ""), "run the test with ASYNCAPI_UPDATE=additive")
	has(check(t, doc, file, "additive"), "")
	has(check(t, doc, file, ""), "")
	write(edited(t, edit{path: saySchema + "properties text maxLength", to: 1000}))
	has(check(t, doc, file, "additive"), "breaking: channels/ws.rooms.room/messages/say/text: maxLength was 1000, is 500")
	has(check(t, doc, file, ""), "run the test with ASYNCAPI_UPDATE=breaking")
	has(check(t, doc, file, "breaking"), "")
	has(check(t, doc, file, ""), "")
	write([]byte("{"))
	has(check(t, doc, file, "breaking"), "no AsyncAPI document")
	write([]byte(`{"asyncapi":"2.6.0"}`))
	has(check(t, doc, file, "breaking"), `no AsyncAPI document of version 3, but "2.6.0"`)
}
