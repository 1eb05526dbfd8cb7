package wsroute

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// parsed is what a full parse makes of a message: nil if it is no JSON object.
type parsed struct {
	kind, ref string
	ok        bool
}

// parseWhole reads a message by way of encoding/json, token for token.
func parseWhole(data []byte) *parsed {
	if !json.Valid(data) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	p := &parsed{ok: true}
	typed, referred := false, false
	for d.More() {
		before := d.InputOffset()
		token, _ := d.Token()
		key := token.(string)
		if bytes.ContainsRune(data[before:d.InputOffset()], '\\') {
			p.ok = false // an escape in a key
		}
		var value json.RawMessage
		if err := d.Decode(&value); errors.Is(err, io.EOF) {
			return nil
		}
		switch text := string(value); {
		case bytes.ContainsRune(data[before:d.InputOffset()-int64(len(value))], '\\'):
		case key == "type":
			if typed || text[0] != '"' || strings.Contains(text, `\`) {
				p.ok = false
			} else {
				p.kind = text[1 : len(text)-1]
			}
			typed = true
		case key == "ref":
			p.ok = p.ok && !referred && goodRef(text)
			if referred = true; text != "null" {
				p.ref = text
			}
		}
	}
	p.ok = p.ok && typed
	return p
}

func goodRef(text string) bool {
	if text == "null" {
		return true
	}
	if text[0] == '"' {
		return len(text) <= 66 && !strings.Contains(text, `\`)
	}
	digits := strings.TrimPrefix(text, "-")
	if len(digits) > 19 || strings.Trim(digits, "0123456789") != "" || text == "-0" {
		return false
	}
	return true // JSON has no leading zeros
}

// FuzzEnvelope: the scan finds what a full parse finds. What is no JSON the decoder refuses later.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{
		`{"type":"say","ref":7,"text":"hi"}`, ` { "ref" : "a" , "type" : "say" } `, `{}`, `[]`, `{"type":"say",}`,
		`{"Type":"say"}`, `{"\u0074ype":"say"}`, `{"type":"say","type":"say"}`, `{"a":{"type":"say"}}`, `{"type":7}`,
		`{"type":"s\u0061y"}`, `{"type":"say","ref":007}`, `{"type":"say","ref":-0}`, `{"type":"say","ref":1e400}`,
		`{"type":"say","ref":null}`, `{"type":"say","ref":{}}`, `{"type":"say","ref":"` + strings.Repeat("x", 65) + `"}`,
		`{"type":"say","ref":12345678901234567890}`, `{"type":"say","x":"\\"}`, `{"type":"say","x":["}",{"y":"]"}]}`,
		`{"type":"say"}x`, `{"type":1"say"}`, `{"type":"say","ref":"é"}`, `{"":"","type":"say"}`, "{\"type\":\"say\",\"ref\":\"\x7f\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) { // the connection has closed
			return
		}
		var e envelope
		reason := e.open(data, typeMember)
		want := parseWhole(data)
		switch {
		case want == nil:
			var object map[string]any
			if reason == "" && json.Unmarshal(data, &object) == nil && object != nil {
				t.Errorf("%q: a full parse refuses it", data)
			}
		case want.ok != (reason == ""):
			t.Errorf("%q: %q, and a full parse says %+v", data, reason, want)
		case want.ok && (string(e.kind) != want.kind || string(e.ref) != want.ref):
			t.Errorf("%q: %q %q, and a full parse says %+v", data, e.kind, e.ref, want)
		case reason == reasonNoJSON:
			t.Errorf("%q: it is JSON", data)
		}
	})
}

// TestOpenAllocatesNothing, whatever comes.
func TestOpenAllocatesNothing(t *testing.T) {
	for _, text := range []string{`{"type":"say","ref":7,"text":"hi"}`, `{"type":"unknown","ref":"a"}`, `[`, `{"type":{}}`} {
		data := []byte(text)
		var e envelope
		if n := testing.AllocsPerRun(100, func() { _ = e.open(data, typeMember) }); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}
