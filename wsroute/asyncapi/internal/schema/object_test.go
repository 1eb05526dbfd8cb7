package schema_test

import (
	"encoding/json"
	"testing"

	"example.com/usher/wsroute/asyncapi/internal/schema"
)

func TestObject(t *testing.T) {
	o := &schema.Object{}
	o.Set("b", 1).Set("a", []string{"<&>"}).Set("raw", json.RawMessage(`{"x": 1}`))
	o.Set("in", (&schema.Object{}).Set("z", nil)).Set("b", 2)
	text, err := o.MarshalJSON()
	if want := `{"b":2,"a":["<&>"],"raw":{"x":1},"in":{"z":null}}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
	if o.Get("b") != 2 || o.Get("none") != nil || len(o.Names()) != 4 || o.Names()[0] != "b" {
		t.Errorf("got %v, %v, %v", o.Get("b"), o.Get("none"), o.Names())
	}
	lines, err := (&schema.Object{}).Set("a", 1).Indent()
	if want := "{\n  \"a\": 1\n}\n"; err != nil || string(lines) != want {
		t.Errorf("Indent = %q, %v, want %q", lines, err, want)
	}
	if _, err := o.Set("bad", func() {}).MarshalJSON(); err == nil {
		t.Error("a func is written")
	}
}
