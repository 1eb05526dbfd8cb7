package graph

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// FuzzTag: a tag that reflect reads is read alike, and nothing panics.
func FuzzTag(f *testing.F) {
	for _, seed := range []string{`path:"room" validate:"max=64"`, `query:"a"default:"b"`, `x`, `:"y"`, `a:"\x"`, `depends:"fresh,handshake-only"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, bad := parseTag(reflect.StructTag(text))
		if len(bad) > 0 {
			return
		}
		if value, ok := reflect.StructTag(text).Lookup("validate"); ok && value != read.validate {
			t.Fatalf("%q: validate %q, reflect says %q", text, read.validate, value)
		}
		if read.in != "" && reflect.StructTag(text).Get(read.in) != read.name {
			t.Fatalf("%q: %s %q", text, read.in, read.name)
		}
	})
}

func TestClosest(t *testing.T) {
	for word, want := range map[string]string{"defualt": "default", "qeury": "query", "headers": "header", "xyz": "", "": ""} {
		if got := closest(word, knownTags); got != want {
			t.Errorf("%q: got %q", word, got)
		}
	}
}

func TestNames(t *testing.T) {
	type generic[T any] struct{}
	for want, typ := range map[string]reflect.Type{
		"*http.Request":         reflect.TypeFor[*http.Request](),
		"map[string]url.Values": reflect.TypeFor[map[string]url.Values](),
		"struct {}":             reflect.TypeFor[struct{}](),
		"struct{...}":           reflect.TypeFor[struct{ A int }](),
	} {
		if got := TypeName(typ); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := TypeName(reflect.TypeFor[generic[url.Values]]()); got != "graph.generic[url.Values]" {
		t.Errorf("got %q", got)
	}
	for symbol, want := range map[string]string{
		"example.com/a/chat.join":  "chat.join",
		"main.(*Server).Join-fm":   "main.(*Server).Join",
		"main.main.func1":          "func literal in main.main",
		"example.com/a/b.Gen[...]": "b.Gen",
		"example.com/a/b.function": "b.function",
	} {
		if got := funcName(symbol); got != want {
			t.Errorf("%s: got %q, want %q", symbol, got, want)
		}
	}
	if !strings.HasSuffix(Caller().String(), "testing.go:"+strings.TrimPrefix(Caller().String(), "testing/testing.go:")) {
		t.Errorf("got %q", Caller())
	}
}
