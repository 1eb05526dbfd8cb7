package schematest

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/usher/wsroute/asyncapi/internal/schema"
)

// values is how many random values a property is tried with, over all the broad types; and
// each of the many types with one field, with perField.
const (
	values   = 10_000
	perField = 100
)

// rules is a validator as depends.New makes one.
var rules = validator.New(validator.WithRequiredStructEnabled())

// seeded returns a source of chance. SEED=n repeats a run.
func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	if text := os.Getenv("SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// checker is a schema that the reader of JSON Schema has compiled, and its text.
type checker struct {
	schema *jsonschema.Schema
	text   string
}

func compile(t *testing.T, typ reflect.Type, d schema.Direction) checker {
	t.Helper()
	all := schema.New()
	root, err := all.Of(typ, d)
	if err != nil {
		t.Fatalf("%v, %s: %v", typ, d, err)
	}
	doc := (&schema.Object{}).Set("root", root)
	doc.Set("components", (&schema.Object{}).Set("schemas", all.Components()))
	text, err := doc.Indent()
	if err != nil {
		t.Fatal(err)
	}
	return checker{mustCompile(t, text), string(text)}
}

func mustCompile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	if err := c.AddResource("mem:doc.json", plain); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("mem:doc.json#/root")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return compiled
}

func (c checker) judge(t *testing.T, message []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return c.schema.Validate(v)
}

// marshal writes a value as usher does.
func marshal(t *testing.T, v reflect.Value) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.Interface()); err != nil {
		t.Fatalf("%v: %v", v.Type(), err)
	}
	return b.Bytes()
}

// receive reads and checks a message as wsroute does.
func receive(typ reflect.Type, message []byte) error {
	v := reflect.New(typ)
	if err := json.Unmarshal(message, v.Interface()); err != nil {
		return err
	}
	path, t := "", typ
	for range 8 { // a type may be a list of itself
		switch t.Kind() {
		case reflect.Slice, reflect.Array, reflect.Map:
			path += ",dive"
		case reflect.Pointer:
			if path != "" {
				path += ",required"
			}
		case reflect.Struct:
			if path != "" {
				return rules.Var(v.Elem().Interface(), path[1:])
			}
			for v.Kind() == reflect.Pointer {
				v = v.Elem()
			}
			if !v.IsValid() {
				return errors.New("null")
			}
			return rules.Struct(v.Addr().Interface())
		default:
			return nil
		}
		t = t.Elem()
	}
	return nil
}

// Property 1: what a value is marshalled to fits the schema of what is sent.
func TestSentFits(t *testing.T) {
	chance := seeded(t)
	for _, typ := range slices.Concat(single(broad), single(vague), broad, vague) {
		c := compile(t, typ, schema.Sent)
		for range count(typ) {
			v := reflect.New(typ).Elem()
			fill(chance, v, "", 0)
			message := marshal(t, v)
			if err := c.judge(t, message); err != nil {
				t.Fatalf("%v is refused:\n%s\n%v\n%s", typ, message, err, c.text)
			}
		}
	}
}

func count(typ reflect.Type) int {
	if slices.Contains(broad, typ) {
		return values/len(broad) + 1
	}
	return perField
}

// Property 2: the schema of what is received takes exactly the canonical messages that the
// validator takes. Members that are left out are their zero values.
func TestReceivedFits(t *testing.T) {
	chance := seeded(t)
	taken, all := 0, 0
	for _, typ := range slices.Concat(single(broad), patternedTypes(), broad) {
		c := compile(t, typ, schema.Received)
		if strings.Contains(c.text, "x-validate") {
			t.Fatalf("%v is not said whole:\n%s", typ, c.text)
		}
		all += count(typ)
		for range count(typ) {
			message := random(t, chance, typ)
			want, got := receive(typ, message), c.judge(t, message)
			if (want == nil) != (got == nil) {
				t.Fatalf("%v:\n%s\nvalidator: %v\nschema: %v\n%s", typ, message, want, got, c.text)
			}
			if want == nil {
				taken++
			}
		}
	}
	t.Logf("%d of %d messages keep the rules", taken, all)
	if taken < all/10 || all-taken < all/10 {
		t.Error("too few of one kind prove little")
	}
}

// Property 3: what the schema refuses, the validator refuses, whatever the rules are.
func TestReceivedRefuses(t *testing.T) {
	chance := seeded(t)
	refused, all := 0, 0
	for _, typ := range append(single(vague), vague...) {
		c := compile(t, typ, schema.Received)
		all += values / 20
		for range values / 20 {
			message := random(t, chance, typ)
			if err := c.judge(t, message); err != nil {
				refused++
				if receive(typ, message) == nil {
					t.Fatalf("%v: %s\nis refused: %v\n%s", typ, message, err, c.text)
				}
			}
		}
	}
	t.Logf("%d of %d refused", refused, all)
}

// random returns a canonical message of a type, at times with a member left out.
func random(t *testing.T, chance *rand.Rand, typ reflect.Type) []byte {
	t.Helper()
	v := reflect.New(typ).Elem()
	fill(chance, v, "", 0)
	message := marshal(t, v)
	if chance.IntN(3) > 0 {
		return message
	}
	var plain any
	d := json.NewDecoder(bytes.NewReader(message))
	d.UseNumber()
	if err := d.Decode(&plain); err != nil {
		t.Fatal(err)
	}
	cut(chance, plain)
	return marshal(t, reflect.ValueOf(&plain).Elem())
}

// cut leaves out some members of objects.
func cut(chance *rand.Rand, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, item := range v {
			if chance.IntN(12) == 0 {
				delete(v, name)
			}
			cut(chance, item)
		}
	case []any:
		for _, item := range v {
			cut(chance, item)
		}
	}
}

// fill sets a value by chance, most often to one that keeps its rules.
func fill(chance *rand.Rand, v reflect.Value, rule string, depth int) {
	tries := 1
	if rule != "" && rule != "-" && chance.IntN(40) > 0 {
		tries = 1 + 24>>(2*depth) // few within: each try of an outer value makes all inner ones
		if k := v.Kind(); k <= reflect.Float64 || k == reflect.String {
			tries = 60
		}
	}
	for range tries {
		v.SetZero()
		fillOnce(chance, v, depth)
		if tries == 1 || keeps(v, rule) {
			return
		}
	}
}

// keeps says whether a value keeps a field's rules; those about other fields may.
func keeps(v reflect.Value, rule string) (ok bool) {
	defer func() { ok = recover() != nil || ok }()
	return rules.Var(v.Interface(), rule) == nil
}

func fillOnce(chance *rand.Rand, v reflect.Value, depth int) {
	few := 4 - min(depth, 4)
	switch reflect.Zero(v.Type()).Interface().(type) {
	case time.Time:
		if chance.IntN(3) > 0 {
			zone := time.FixedZone("", 60*(chance.IntN(200)-100))
			v.Set(reflect.ValueOf(time.Unix(chance.Int64N(1<<33), chance.Int64N(1e9)).In(zone)))
		}
		return
	case netip.Addr:
		if chance.IntN(3) > 0 {
			v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{byte(chance.IntN(256)), 1, 2, 3})))
		}
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage([]string{"1", `"a"`, "null", `{"a":[]}`, ""}[chance.IntN(5)])))
		if v.Len() == 0 {
			v.SetZero()
		}
		return
	case shade:
		v.Set(reflect.ValueOf(shade{byte(chance.IntN(3))}))
		return
	case net.IP:
		v.Set(reflect.ValueOf([]net.IP{nil, net.IPv4(1, 2, 3, 4).To4(), net.IPv6loopback}[chance.IntN(3)]))
		return
	case big.Int:
		v.Set(reflect.ValueOf(*big.NewInt(integer(chance))))
		return
	case json.Number:
		v.SetString([]string{"", "0", "-1.5", "1e9"}[chance.IntN(4)])
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(chance.IntN(2) == 0)
	case reflect.String:
		v.SetString(text(chance))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(integer(chance) >> chance.IntN(64))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(integer(chance)) >> chance.IntN(64))
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{0, 0.1, 0.099999, 1, 1.5, 100, 100.5, -2, 1e21, 1e-9, chance.NormFloat64()}[chance.IntN(11)])
	case reflect.Pointer:
		if chance.IntN(4) < few {
			v.Set(reflect.New(v.Type().Elem()))
			fill(chance, v.Elem(), "", depth+1)
		}
	case reflect.Slice:
		if n := chance.IntN(4+1) - 1; n >= 0 {
			n = min(n, few)
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(chance, v.Index(i), "", depth+1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(chance, v.Index(i), "", depth+1)
		}
	case reflect.Map:
		if n := chance.IntN(4+1) - 1; n >= 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range min(n, few) {
				key, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(chance, key, "", depth+1)
				fill(chance, item, "", depth+1)
				v.SetMapIndex(key, item)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case f.Anonymous && f.Type.Kind() == reflect.Struct:
				fillOnce(chance, v.Field(i), depth)
			case f.IsExported():
				fill(chance, v.Field(i), f.Tag.Get("validate"), depth+1)
			}
		}
	case reflect.Interface:
		if item := []any{nil, "a", 1.5, true, "abcd"}[chance.IntN(5)]; item != nil {
			v.Set(reflect.ValueOf(item))
		}
	}
}

func integer(chance *rand.Rand) int64 {
	if chance.IntN(2) == 0 {
		return int64(chance.Uint64())
	}
	return int64(chance.IntN(8)) - 2
}

// text returns a text of many, often with something changed.
func text(chance *rand.Rand) string {
	s := texty[chance.IntN(len(texty))]
	if chance.IntN(3) > 0 {
		return s
	}
	list := []rune(s)
	letter := letters[chance.IntN(len(letters))]
	switch at := chance.IntN(len(list) + 1); {
	case chance.IntN(3) == 0 || at == len(list):
		list = slices.Insert(list, at, letter)
	case chance.IntN(2) == 0:
		list = slices.Delete(list, at, at+1)
	default:
		list[at] = letter
	}
	return string(list)
}

var (
	letters = []rune("abcKksSſ\u212aéÉ019-.+=%!,|\n\r\t\u2028 \u00a0\\\"\v\x00😀Z_:/")
	texty   = append(strings.Fields(samples), "", "", "a", "b", "ab", "abc", "abcd", "b c", "B C", " ", "a\nb", "%41", "</a>", "<b c>")
)

const samples = `1 0 12 -1.5 +3 a1 A TRUE true False t é ÉA K k abd ABC cab a.b b. 1234 0x1F #fff #12345678
	2020-02-29 2021-02-29 2020-2-3 0000-01-01 a@example.com ::1 192.0.2.1 ::ffff:1.2.3.4 https://example.com/a http: straße STRASSE
	+491234567890 123456789 JBSWY3DP GEZDGNBV QUJD QUI= QQ== QUJDRA== _-8= _-8 ab_-
	123e4567-e89b-12d3-a456-426614174000 123e4567-e89b-42d3-a456-426614174000 123E4567-E89B-52D3-B456-426614174000
	123e4567-e89b-32d3-a456-426614174000 01ARZ3NDEKTSV4RRFFQ69G5FAV 01arz3ndektsv4rrffq69g5fav
	d41d8cd98f00b204e9800998ecf8427e da39a3ee5e6b4b0d3255bfef95601890afd80709 507f1f77bcf86cd799439011
	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
	38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b
	cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e
	24f0130c63ac933216166e76b1bb925ff373de2d49584e7a 45.5 -90 90.0 180.00 179.9 -181 12-3456789 host host.name a..b 1a.b- example.com. example.c0m
	a.b.c eyJ.eyJ. 0x00112233445566778899aabbccddeeff00112233 DEUTDEFF DEUTDEFF500 deutdeff <p> &lt; %zz`
