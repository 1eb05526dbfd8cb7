package schematest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// documents are those of the package's own test and of the chat example.
var documents = map[string]string{
	"program": "../../testdata/document.json",
	"chat":    "../../../../examples/chat/testdata/asyncapi.json",
}

type object = map[string]any

func read(t *testing.T, file string) object {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v.(object)
}

// official compiles the schema of AsyncAPI 3.0.0: see testdata/asyncapi.
func official(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("asyncapi.json", read(t, "testdata/asyncapi/3.0.0.json")); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestDocumentsAreAsyncAPI holds documents to the official schema, and to what it accepts and is
// wrong all the same.
func TestDocumentsAreAsyncAPI(t *testing.T) {
	compiled := official(t)
	for name, file := range documents {
		doc := read(t, file)
		if err := compiled.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for rule, check := range checks {
			for _, fault := range check(doc) {
				t.Errorf("%s: %s: %s", name, rule, fault)
			}
		}
	}
}

// checks are those that the official schema does not make. The ninth, that the same program has
// the same document, is a test of package asyncapi.
var checks = map[string]func(object) []string{
	"each $ref resolves":                         references,
	"an address has its parameters":              addresses,
	"an address has no wildcard":                 wildcards,
	"messages of an operation are the channel's": operations,
	"names of components are legal":              componentNames,
	"examples are valid":                         examples,
	"types of messages differ":                   discriminators,
	"patterns are ECMAScript":                    ecmaScript,
}

// each calls f for every object of a document, with its path.
func each(path string, v any, f func(path string, it object)) {
	switch v := v.(type) {
	case object:
		f(path, v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			each(path+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), v[name], f)
		}
	case []any:
		for i, item := range v {
			each(fmt.Sprintf("%s/%d", path, i), item, f)
		}
	}
}

// at follows a reference.
func at(doc object, ref string) any {
	var v any = doc
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		it, _ := v.(object)
		v = it[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return v
}

func references(doc object) (faults []string) {
	each("#", doc, func(path string, it object) {
		if ref, ok := it["$ref"].(string); ok && (!strings.HasPrefix(ref, "#/") || at(doc, ref) == nil) {
			faults = append(faults, path+": "+ref)
		}
	})
	return faults
}

func sub(v any, name string) object {
	it, _ := v.(object)
	inner, _ := it[name].(object)
	return inner
}

var braces = regexp.MustCompile(`\{([^{}]*)\}`)

func addresses(doc object) (faults []string) {
	for name, channel := range sub(doc, "channels") {
		want := map[string]bool{}
		for _, found := range braces.FindAllStringSubmatch(channel.(object)["address"].(string), -1) {
			want[found[1]] = true
		}
		got := map[string]bool{}
		for parameter := range sub(channel, "parameters") {
			got[parameter] = true
		}
		if !maps.Equal(want, got) {
			faults = append(faults, fmt.Sprintf("%s: %v and %v", name, want, got))
		}
	}
	return faults
}

func wildcards(doc object) (faults []string) {
	for name, channel := range sub(doc, "channels") {
		if address := channel.(object)["address"].(string); strings.Contains(address, "*") || strings.Contains(address, "...") || strings.Contains(address, ":") {
			faults = append(faults, name+": "+address)
		}
	}
	return faults
}

func operations(doc object) (faults []string) {
	for name, operation := range sub(doc, "operations") {
		lists := []any{operation, sub(operation, "reply")}
		for _, of := range lists {
			channel, _ := sub(of, "channel")["$ref"].(string)
			messages, _ := of.(object)["messages"].([]any)
			for _, m := range messages {
				ref, _ := m.(object)["$ref"].(string)
				if !strings.HasPrefix(ref, channel+"/messages/") || at(doc, ref) == nil {
					faults = append(faults, name+": "+ref)
				}
			}
		}
	}
	return faults
}

var legal = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

func componentNames(doc object) (faults []string) {
	for kind, list := range sub(doc, "components") {
		for name := range list.(object) {
			if !legal.MatchString(name) {
				faults = append(faults, kind+": "+name)
			}
		}
	}
	return faults
}

func examples(doc object) (faults []string) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("doc.json", doc); err != nil {
		return []string{err.Error()}
	}
	for name, message := range sub(sub(doc, "components"), "messages") {
		given, _ := message.(object)["examples"].([]any)
		for _, example := range given {
			pointer := "doc.json#/components/messages/" + name + "/payload"
			compiled, err := c.Compile(pointer)
			if err == nil {
				err = compiled.Validate(example.(object)["payload"])
			}
			if err != nil {
				faults = append(faults, name+": "+err.Error())
			}
		}
	}
	return faults
}

func discriminators(doc object) (faults []string) {
	for name, channel := range sub(doc, "channels") {
		member, _ := channel.(object)["x-type-member"].(string)
		if member == "" {
			continue
		}
		seen := map[string]string{}
		for id, message := range sub(channel, "messages") {
			m, _ := at(doc, message.(object)["$ref"].(string)).(object)
			if m["contentType"] != "application/json" {
				continue
			}
			kind, _ := sub(sub(sub(m, "payload"), "properties"), member)["const"].(string)
			if other, twice := seen[kind]; kind == "" || twice && strings.TrimSuffix(other, ".sent") != strings.TrimSuffix(id, ".sent") {
				faults = append(faults, fmt.Sprintf("%s: %s and %s have %q", name, id, other, kind))
			}
			seen[kind] = id
		}
	}
	each("#", doc, func(path string, it object) {
		if _, text := it["discriminator"].(object); text {
			faults = append(faults, path+": a discriminator of OpenAPI's form")
		}
	})
	return faults
}

func ecmaScript(doc object) (faults []string) {
	each("#", doc, func(path string, it object) {
		if pattern, ok := it["pattern"].(string); ok {
			if _, err := regexp2.Compile(pattern, regexp2.ECMAScript); err != nil {
				faults = append(faults, path+": "+err.Error())
			}
			if strings.Contains(pattern, `\A`) || strings.Contains(pattern, `\z`) || strings.Contains(pattern, `(?P`) {
				faults = append(faults, path+": "+pattern)
			}
		}
	})
	return faults
}

// TestEachCheckFindsAFault: a document that the official schema accepts.
func TestEachCheckFindsAFault(t *testing.T) {
	compiled := official(t)
	const channel, say = "#/channels/ws.rooms.room", "#/components/messages/ws.rooms.room.say"
	for rule, spoil := range map[string]func(doc object){
		"each $ref resolves":            func(doc object) { at(doc, channel+"/messages/say").(object)["$ref"] = "#/components/messages/nobody" },
		"an address has its parameters": func(doc object) { at(doc, channel).(object)["address"] = "/ws/rooms/{other}" },
		"an address has no wildcard":    func(doc object) { at(doc, channel).(object)["address"] = "/ws/rooms/*rest/{room}" },
		"messages of an operation are the channel's": func(doc object) {
			at(doc, "#/operations/receive.ws.rooms.room.say").(object)["messages"] = []any{object{"$ref": say}}
		},
		"names of components are legal": func(doc object) { at(doc, "#/components/schemas").(object)["Page[chat.User]"] = object{} },
		"examples are valid": func(doc object) {
			at(doc, say+"/examples/0")
			sub(at(doc, say).(object)["examples"].([]any)[0], "payload")["text"] = ""
		},
		"types of messages differ": func(doc object) {
			sub(sub(sub(at(doc, say), "payload"), "properties"), "type")["const"] = "ask"
		},
		"patterns are ECMAScript": func(doc object) {
			sub(at(doc, "#/components/schemas/say.received"), "properties")["text"] = object{"pattern": `(?P<a>x)`}
		},
	} {
		doc := read(t, documents["program"])
		spoil(doc)
		if err := compiled.Validate(doc); err != nil && rule != "names of components are legal" {
			t.Errorf("%s: the official schema sees it: %v", rule, err)
		}
		if len(checks[rule](doc)) == 0 {
			t.Errorf("%s: the check finds nothing", rule)
		}
	}
	for _, path := range []string{"#/info", "#/operations/receive.ws.rooms.room.say"} {
		doc := read(t, documents["program"])
		delete(at(doc, path).(object), map[string]string{"#/info": "title"}[path])
		delete(at(doc, path).(object), "action")
		if compiled.Validate(doc) == nil {
			t.Errorf("the official schema accepts a document whose %s is not whole", path)
		}
	}
	if len(checks) != 8 {
		t.Errorf("there are %d checks", len(checks))
	}
}
