package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	rawType      = reflect.TypeFor[json.RawMessage]()
	numberType   = reflect.TypeFor[json.Number]()
)

// place is a type where it stands.
type place struct {
	typ     reflect.Type
	dir     Direction
	rules   []string // of the validator, without those of outer lists
	quoted  bool     // a number, bool or string that is written within a string
	pointer bool     // it is behind a pointer
	param   bool     // a parameter of a request, not JSON
}

// to is the place of a type within this one, without rules.
func (p place) to(t reflect.Type) place { return place{typ: t, dir: p.dir, param: p.param} }

// shape is the schema of the values at a place, but for null.
type shape struct {
	schema   *Object
	nullable bool // the Go type has nil
	null     bool // which is right
}

// seal returns the schema of all values, null included.
func (s *Schemas) seal(made shape) *Object {
	if !made.nullable {
		return made.schema
	}
	takes := made.schema.Get("type") == nil && s.Fits(made.schema, []byte("null")) == nil
	switch {
	case made.null && !takes:
		return orNull(made.schema)
	case !made.null && takes:
		return with(made.schema, "not", keyword("type", "null"))
	}
	return made.schema
}

// minding are the keywords that judge null by themselves.
var minding = []string{"$ref", "const", "enum", "not", "allOf", "anyOf"}

func orNull(schema *Object) *Object {
	t, ok := schema.Get("type").(string)
	if ok && !slices.ContainsFunc(minding, func(word string) bool { return schema.index(word) >= 0 }) {
		return schema.Set("type", []string{t, "null"})
	}
	return keyword("anyOf", []any{schema, keyword("type", "null")})
}

func keyword(name string, value any) *Object { return (&Object{}).Set(name, value) }

// shape returns the schema of a place.
func (s *Schemas) shape(p place) (shape, error) {
	if p.typ.Kind() == reflect.Pointer {
		return s.pointer(p)
	}
	base := &Object{}
	if p.dir != Received || !isStruct(p) { // its fields come behind its own rules
		var err error
		if base, err = s.base(p); err != nil {
			return shape{}, err
		}
	}
	made := shape{schema: base, nullable: nilKind(p), null: true}
	if p.dir == Received {
		r, err := s.follow(p, p.rules)
		if err != nil {
			return shape{}, err
		}
		made.schema, made.null = merge(base, r.schema), r.null
	}
	return made, nil
}

func (s *Schemas) pointer(p place) (shape, error) {
	inner := p
	inner.typ, inner.pointer = p.typ.Elem(), true
	if p.typ.Name() != "" && inner.typ.Kind() == reflect.Pointer &&
		reaches(p.typ, p.typ, map[reflect.Type]bool{}) {
		return shape{}, fmt.Errorf("%s points to itself", typeName(p.typ))
	}
	made, err := s.shape(inner)
	made.nullable, made.null = true, p.dir != Received || nilPasses(p.rules)
	return made, err
}

// nilKind says whether a place may hold a nil that is written as null.
func nilKind(p place) bool {
	if _, known := ownForm(p); known || p.param {
		return false
	}
	k := p.typ.Kind()
	return k == reflect.Slice || k == reflect.Map || k == reflect.Interface
}

// base returns the schema of a place without its rules.
func (s *Schemas) base(p place) (*Object, error) {
	if own, known := ownForm(p); known {
		return own, nil
	}
	k := p.typ.Kind()
	if p.quoted {
		return quotedForm(k), nil
	}
	switch k {
	case reflect.Bool:
		return keyword("type", "boolean"), nil
	case reflect.String:
		return keyword("type", "string"), nil
	case reflect.Float32, reflect.Float64:
		return keyword("type", "number"), nil
	case reflect.Interface:
		if p.dir != Sent && p.typ.NumMethod() > 0 {
			return nil, fmt.Errorf("%s cannot be read from JSON: encoding/json does not know "+
				"which type it is", typeName(p.typ))
		}
		return &Object{}, nil
	case reflect.Struct:
		return s.structForm(p)
	case reflect.Slice, reflect.Array, reflect.Map:
		if p.typ.Name() != "" && reaches(p.typ, p.typ, map[reflect.Type]bool{}) {
			return s.refer(p, s.container)
		}
		return s.container(p)
	}
	if form := integer(k); form != nil {
		return form, nil
	}
	return nil, fmt.Errorf("%s cannot be JSON", typeName(p.typ))
}

// integer returns the schema of an integer kind with its range, or nil. Those of 64 bits have
// no upper bound: readers of JSON that hold numbers as floats would round it.
func integer(k reflect.Kind) *Object {
	form := keyword("type", "integer")
	switch k {
	case reflect.Int, reflect.Int64:
		return form
	case reflect.Int8:
		return form.Set("minimum", math.MinInt8).Set("maximum", math.MaxInt8)
	case reflect.Int16:
		return form.Set("minimum", math.MinInt16).Set("maximum", math.MaxInt16)
	case reflect.Int32:
		return form.Set("minimum", math.MinInt32).Set("maximum", math.MaxInt32)
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		return form.Set("minimum", 0)
	case reflect.Uint8:
		return form.Set("minimum", 0).Set("maximum", math.MaxUint8)
	case reflect.Uint16:
		return form.Set("minimum", 0).Set("maximum", math.MaxUint16)
	case reflect.Uint32:
		return form.Set("minimum", 0).Set("maximum", math.MaxUint32)
	}
	return nil
}

// quotedForm is what the option string of a json tag makes of a kind.
func quotedForm(k reflect.Kind) *Object {
	form := keyword("type", "string")
	switch {
	case k == reflect.Bool:
		form.Set("enum", []any{"true", "false"})
	case reflect.Uint <= k && k <= reflect.Uintptr:
		form.Set("pattern", "^[0-9]+$")
	case reflect.Int <= k && k <= reflect.Int64:
		form.Set("pattern", "^-?[0-9]+$")
	}
	return form
}

// ownForm is the JSON of a type that is not that of its kind: those of a few types that are
// well known, and of the interfaces of encoding/json and encoding.
func ownForm(p place) (*Object, bool) {
	t := p.typ
	if p.param {
		return paramForm(t)
	}
	named := keyword("x-go-type", typeName(t))
	switch {
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface:
		return nil, false
	case t == timeType:
		return keyword("type", "string").Set("format", "date-time"), true
	case t == rawType:
		return &Object{}, true
	case t == numberType && !p.quoted:
		return keyword("type", "number"), true
	}
	jsonForm := reflect.TypeFor[json.Unmarshaler]()
	textForm := reflect.TypeFor[encoding.TextUnmarshaler]()
	if p.dir == Sent {
		jsonForm, textForm = reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()
	}
	byPointer := reflect.PointerTo(t)
	switch {
	case byPointer.Implements(jsonForm):
		return named, true
	case t.Implements(textForm), byPointer.Implements(textForm) && (p.dir != Sent || p.pointer):
		return keyword("type", "string").Set("x-go-type", typeName(t)), true
	case byPointer.Implements(textForm):
		// Whether encoding/json calls the method depends on where the value stands.
		return named, true
	}
	return nil, false
}

// structForm refers to the component of a struct that has a name, and describes another.
func (s *Schemas) structForm(p place) (*Object, error) {
	if p.dir == unchecked && !ruled(p.typ, map[reflect.Type]bool{}) {
		p.dir = Received
	}
	if p.typ.Name() == "" {
		return s.object(p)
	}
	return s.refer(p, s.object)
}

// unreached says whether rules keep the validator out of a struct.
func unreached(rules []string) bool {
	return slices.ContainsFunc(rules, func(rule string) bool {
		return rule == "-" || rule == "structonly" || rule == "nostructlevel"
	})
}

// ruled says whether the validator finds rules within a type.
func ruled(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		if seen[t] {
			return false
		}
		seen[t] = true
		return ruled(t.Elem(), seen)
	case reflect.Struct:
		if seen[t] || t == timeType {
			return false
		}
		seen[t] = true
		for f := range t.Fields() {
			if rule := f.Tag.Get("validate"); rule != "-" && (rule != "" || ruled(f.Type, seen)) {
				return true
			}
		}
	}
	return false
}

// reaches says whether values of a type hold some of another, with no named struct between.
func reaches(from, to reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[from] {
		return from == to
	}
	seen[from] = true
	switch from.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return from.Elem() == to || reaches(from.Elem(), to, seen)
	case reflect.Struct:
		for f := range from.Fields() {
			if from.Name() == "" && (f.Type == to || reaches(f.Type, to, seen)) {
				return true
			}
		}
	}
	return false
}

// container returns the schema of a list or a map. Its elements have no rules here: those that
// dive gives them come with the rules.
func (s *Schemas) container(p place) (*Object, error) {
	elem := p.to(p.typ.Elem())
	if p.dir == Received {
		elem.dir = unchecked
	}
	if p.typ.Kind() == reflect.Map {
		return s.mapForm(p, elem)
	}
	if isBytes(p) {
		return keyword("type", "string").Set("contentEncoding", "base64"), nil
	}
	form := keyword("type", "array")
	if !slices.Contains(p.rules, "dive") || p.dir != Received {
		made, err := s.shape(elem)
		if err != nil {
			return nil, err
		}
		form.Set("items", s.seal(made))
	}
	if p.typ.Kind() == reflect.Array {
		form.Set("minItems", p.typ.Len()).Set("maxItems", p.typ.Len())
	}
	return form, nil
}

// isBytes says whether encoding/json writes a list as base64.
func isBytes(p place) bool {
	if p.param || p.typ.Kind() != reflect.Slice || p.typ.Elem().Kind() != reflect.Uint8 {
		return false
	}
	elem := p.to(p.typ.Elem())
	elem.dir = Sent
	_, own := ownForm(elem)
	return !own
}

func (s *Schemas) mapForm(p, elem place) (*Object, error) {
	form, key := keyword("type", "object"), p.typ.Key()
	k := key.Kind()
	isText := key.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	if p.dir != Sent {
		isText = reflect.PointerTo(key).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	}
	switch {
	case isText || k == reflect.String:
	case reflect.Int <= k && k <= reflect.Uintptr:
		form.Set("propertyNames", keyword("pattern", quotedForm(k).Get("pattern")))
	default:
		return nil, fmt.Errorf("%s cannot be the key of a JSON object", typeName(key))
	}
	if !slices.Contains(p.rules, "dive") || p.dir != Received {
		made, err := s.shape(elem)
		if err != nil {
			return nil, err
		}
		form.Set("additionalProperties", s.seal(made))
	}
	return form, nil
}
