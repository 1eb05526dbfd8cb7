package schema_test

import (
	"encoding/json"
	"errors"
	htmltemplate "html/template"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	texttemplate "text/template"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/wsroute/asyncapi/internal/schema"
)

type Say struct {
	_     struct{} `doc:"What somebody says."`
	Text  string   `json:"text" validate:"required,max=500" doc:"The words." example:"hi"`
	To    []string `json:"to,omitempty" validate:"max=3,dive,email"`
	Reply *Say     `json:"reply,omitempty"`
	Level int8     `json:"level" validate:"omitempty,min=2" example:"3"`
}

type Page[T any] struct {
	Items []T
	Rest  map[string]netip.Addr
	Bytes []byte
	At    time.Time
	Next  *Page[T]
}

// described returns the schema of a type and the components, indented.
func described(t *testing.T, typ reflect.Type, d schema.Direction) string {
	t.Helper()
	s := schema.New()
	root, err := s.Of(typ, d)
	if err != nil {
		t.Fatal(err)
	}
	text, err := (&schema.Object{}).Set("root", root).Set("schemas", s.Components()).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		typ  reflect.Type
		d    schema.Direction
		want string
	}{
		{reflect.TypeFor[Say](), schema.Received, `{"root":{"$ref":"#/components/schemas/Say.received"},"schemas":{` +
			`"Say.received":{"type":"object","description":"What somebody says.","properties":{` +
			`"text":{"type":"string","minLength":1,"maxLength":500,"description":"The words.","examples":["hi"]},` +
			`"to":{"type":["array","null"],"maxItems":3,"items":{"type":"string","minLength":1,"x-validate":"email"}},` +
			`"reply":{"anyOf":[{"$ref":"#/components/schemas/Say.received"},{"type":"null"}]},` +
			`"level":{"type":"integer","minimum":-128,"maximum":127,"anyOf":[{"const":0},{"minimum":2}],"examples":[3]}},"required":["text"]}}}`},
		{reflect.TypeFor[Say](), schema.Sent, `{"root":{"$ref":"#/components/schemas/Say.sent"},"schemas":{` +
			`"Say.sent":{"type":"object","description":"What somebody says.","properties":{` +
			`"text":{"type":"string","description":"The words.","examples":["hi"]},` +
			`"to":{"type":"array","items":{"type":"string"}},"reply":{"$ref":"#/components/schemas/Say.sent"},` +
			`"level":{"type":"integer","minimum":-128,"maximum":127,"examples":[3]}},"required":["text","level"]}}}`},
		{reflect.TypeFor[Page[int]](), schema.Sent, `{"root":{"$ref":"#/components/schemas/Page_int.sent"},"schemas":{` +
			`"Page_int.sent":{"type":"object","properties":{"Items":{"type":["array","null"],"items":{"type":"integer"}},` +
			`"Rest":{"type":["object","null"],"additionalProperties":{"type":"string","x-go-type":"netip.Addr"}},` +
			`"Bytes":{"type":["string","null"],"contentEncoding":"base64"},"At":{"type":"string","format":"date-time"},` +
			`"Next":{"anyOf":[{"$ref":"#/components/schemas/Page_int.sent"},{"type":"null"}]}},` +
			`"required":["Items","Rest","Bytes","At","Next"]}}}`},
		{reflect.TypeFor[[]uint8](), schema.Sent, `{"root":{"type":["string","null"],"contentEncoding":"base64"},"schemas":{}}`},
		{reflect.TypeFor[any](), schema.Sent, `{"root":{},"schemas":{}}`},
		{reflect.TypeFor[json.RawMessage](), schema.Received, `{"root":{},"schemas":{}}`},
		{reflect.TypeFor[[2]bool](), schema.Sent, `{"root":{"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":2},"schemas":{}}`},
	} {
		got := described(t, tt.typ, tt.d)
		if got != tt.want {
			t.Errorf("%v, %s:\n got %s\nwant %s", tt.typ, tt.d, got, tt.want)
		}
	}
}

type (
	hidden  struct{ V string }
	loop    *loop
	badChan struct{ Owner struct{ In []chan int } }
	badKey  struct{ M map[struct{ X int }]int }
	badFunc struct{ F map[string]func() }
	never   struct {
		ID string `json:"-" validate:"required"`
	}
	embedsPtr struct{ *hidden }
	badTag    struct {
		N int `validate:"max=3" example:"4"`
	}
	listStruct []struct{ Next listStruct }
)

func TestNoSchema(t *testing.T) {
	for _, tt := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[badChan](), "field Owner of schema_test.badChan: field In of struct { In []chan int }: chan int cannot be JSON"},
		{reflect.TypeFor[badKey](), "field M of schema_test.badKey: struct { X int } cannot be the key of a JSON object"},
		{reflect.TypeFor[badFunc](), "field F of schema_test.badFunc: func() cannot be JSON"},
		{reflect.TypeFor[complex128](), "complex128 cannot be JSON"},
		{reflect.TypeFor[unsafe.Pointer](), "unsafe.Pointer cannot be JSON"},
		{reflect.TypeFor[loop](), "schema_test.loop points to itself"},
		{reflect.TypeFor[never](), `field ID of schema_test.never: no member sets it, and its rule "required" refuses its zero value`},
		{reflect.TypeFor[embedsPtr](), "field V of schema_test.embedsPtr: encoding/json cannot set the embedded *schema_test.hidden"},
		{reflect.TypeFor[badTag](), `field N of schema_test.badTag: example "4": "4" is no integer`},
		{reflect.TypeFor[error](), "error cannot be read from JSON: encoding/json does not know which type it is"},
	} {
		_, err := schema.New().Of(tt.typ, schema.Received)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%v: got %v, want %s", tt.typ, err, tt.want)
		}
	}
	if _, err := schema.New().Of(reflect.TypeFor[listStruct](), schema.Sent); err != nil {
		t.Error(err)
	}
}

func local1() reflect.Type { type Twin struct{ A int }; return reflect.TypeFor[Twin]() }

func local2() reflect.Type { type Twin struct{ B int }; return reflect.TypeFor[Twin]() }

// TestNames: names are legal and of one type each, whatever the order of the calls.
func TestNames(t *testing.T) {
	legal := regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	types := []reflect.Type{
		reflect.TypeFor[Say](), reflect.TypeFor[Page[Say]](), reflect.TypeFor[Page[*Page[int]]](),
		reflect.TypeFor[Page[map[string][]Say]](), reflect.TypeFor[texttemplate.Template](), reflect.TypeFor[htmltemplate.Template](),
	}
	named := func(order []int) map[reflect.Type]string {
		s, refs := schema.New(), map[reflect.Type]*schema.Object{}
		for _, i := range order {
			ref, err := s.Of(types[i], schema.Sent)
			if err == nil {
				refs[types[i]] = ref
			}
		}
		names, used := map[reflect.Type]string{}, map[string]bool{}
		for typ, ref := range refs {
			name := strings.TrimPrefix(ref.Get("$ref").(string), "#/components/schemas/")
			if !legal.MatchString(name) || used[name] || s.Components().Get(name) == nil {
				t.Errorf("%v is named %q", typ, name)
			}
			names[typ], used[name] = name, true
		}
		return names
	}
	forth, back := named([]int{0, 1, 2, 3, 4, 5}), named([]int{5, 4, 3, 2, 1, 0})
	same := cmp.Comparer(func(a, b reflect.Type) bool { return a == b })
	if diff := cmp.Diff(forth, back, same); diff != "" {
		t.Error(diff)
	}
	s := schema.New()
	for _, typ := range []reflect.Type{local1(), local2()} {
		if _, err := s.Of(typ, schema.Sent); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Components().Names()); n != 2 {
		t.Errorf("two types of one name are %v", s.Components().Names())
	}
}

func TestParameter(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, tt := range []struct {
		typ   reflect.Type
		rules string
		def   *string
		want  string
	}{
		{reflect.TypeFor[string](), "required,max=20,alphanum", nil, `{"type":"string","minLength":1,"maxLength":20,"pattern":"^[a-zA-Z0-9]+$"}`},
		{reflect.TypeFor[int](), "min=0,max=9", text("007"), `{"type":"integer","minimum":0,"maximum":9,"default":7}`},
		{reflect.TypeFor[*uint8](), "", nil, `{"type":"integer","minimum":0,"maximum":255}`},
		{reflect.TypeFor[bool](), "", text("Yes"), `{"type":"boolean","default":true}`},
		{reflect.TypeFor[float32](), "gt=0.5", text("1e3"), `{"type":"number","exclusiveMinimum":0.5,"default":1000}`},
		{reflect.TypeFor[time.Time](), "", nil, `{"type":"string","format":"date-time"}`},
		{reflect.TypeFor[netip.Addr](), "", text("::1"), `{"type":"string","x-go-type":"netip.Addr","default":"::1"}`},
		{reflect.TypeFor[[]string](), "max=2,dive,oneof=a b", text("a"), `{"type":"array","maxItems":2,"items":{"type":"string","enum":["a","b"]},"default":["a"]}`},
		{reflect.TypeFor[[]uint8](), "", nil, `{"type":"array","items":{"type":"integer","minimum":0,"maximum":255}}`},
	} {
		got, err := schema.New().Parameter(tt.typ, tt.rules, tt.def)
		if err != nil {
			t.Errorf("%v: %v", tt.typ, err)
			continue
		}
		if b, err := got.MarshalJSON(); err != nil || string(b) != tt.want {
			t.Errorf("%v %q:\n got %s, %v\nwant %s", tt.typ, tt.rules, b, err, tt.want)
		}
	}
	wait, err := schema.New().Parameter(reflect.TypeFor[time.Duration](), "max=1h", text("1m30s"))
	if err != nil || wait.Get("x-validate") != "max=1h" {
		t.Errorf("a duration: %v, %v", wait, err)
	}
	if _, err := schema.New().Parameter(reflect.TypeFor[time.Duration](), "", text("soon")); err == nil {
		t.Error("the default soon is a duration")
	}
}

type (
	exampled struct{ A string }
	wrongly  struct {
		A string `validate:"max=3"`
	}
	panics  struct{ A string }
	partial struct {
		A string `example:"a"`
		B string `validate:"required"`
	}
	outer struct {
		In exampled
		N  int `example:"7"`
	}
)

func (*exampled) Example() exampled { return exampled{"<hi>"} }
func (wrongly) Example() wrongly    { return wrongly{"long"} }
func (panics) Example() panics      { return panics{strings.Repeat("a", -1)} }

func TestExample(t *testing.T) {
	for _, tt := range []struct {
		typ       reflect.Type
		want, err string
	}{
		{reflect.TypeFor[exampled](), `{"A":"<hi>"}`, ""},
		{reflect.TypeFor[*exampled](), `{"A":"<hi>"}`, ""},
		{reflect.TypeFor[wrongly](), "", "the example of schema_test.wrongly: A: 4 characters are more than 3"},
		{reflect.TypeFor[panics](), "", "the method Example of schema_test.panics panicked: "},
		{reflect.TypeFor[Say](), `{"text":"hi","level":3}`, ""},
		{reflect.TypeFor[partial](), "", ""},
		{reflect.TypeFor[outer](), `{"In":{"A":"<hi>"},"N":7}`, ""},
		{reflect.TypeFor[int](), "", ""},
	} {
		got, err := schema.New().Example(tt.typ, schema.Received)
		if string(got) != tt.want || (err != nil) != (tt.err != "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
			t.Errorf("%v: got %s, %v, want %s, %s", tt.typ, got, err, tt.want, tt.err)
		}
	}
	s := schema.New()
	s.Validate = func(v any) error { return errors.New("no " + v.(*exampled).A) }
	if _, err := s.Example(reflect.TypeFor[exampled](), schema.Received); err == nil || !strings.HasSuffix(err.Error(), ": no <hi>") {
		t.Errorf("the validator's error is %v", err)
	}
}
