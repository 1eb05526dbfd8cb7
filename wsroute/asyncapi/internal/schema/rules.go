package schema

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule is what a validator's rule says of values: those that are not null, and null.
type rule struct {
	schema *Object // empty if all values pass
	null   bool    // nil passes
	known  bool    // the schema says all that the rule says
}

func says(schema *Object) rule { return rule{schema, true, true} }

func anything() rule { return says(&Object{}) }

func nothing() rule { return rule{keyword("not", &Object{}), false, true} }

// present is all but null.
func present() rule { return rule{&Object{}, false, true} }

// unknown is a rule that no schema says. Nil may pass it.
func unknown() rule { return rule{&Object{}, true, false} }

// follow returns what a list of rules says, one after the other as the validator runs them.
func (s *Schemas) follow(p place, rules []string) (rule, error) {
	if len(rules) == 0 {
		return s.nested(p, Received)
	}
	first, rest := rules[0], rules[1:]
	switch first {
	case "structonly", "nostructlevel":
		return s.nested(p, unchecked)
	case "dive":
		return s.dive(p, rest)
	case "omitempty", "omitnil", "omitzero":
		then, err := s.follow(p, rest)
		return s.omit(p, first, then), err
	}
	then, err := s.follow(p, rest)
	if err != nil {
		return rule{}, err
	}
	r := s.alternatives(p, first)
	return rule{merge(r.schema, then.schema), r.null && then.null, r.known && then.known}, nil
}

// nested returns what the fields of a struct say, to which the validator comes last.
func (s *Schemas) nested(p place, d Direction) (rule, error) {
	if !isStruct(p) {
		return anything(), nil
	}
	p.dir = d
	form, err := s.structForm(p)
	return says(form), err
}

// isStruct says whether the JSON of a place has a struct's fields as its members.
func isStruct(p place) bool {
	_, own := ownForm(p)
	return p.typ.Kind() == reflect.Struct && !own
}

// omit lets pass what a rule such as omitempty calls empty, whatever the rules behind it say.
func (s *Schemas) omit(p place, name string, then rule) rule {
	then.null = true
	empty := emptyOf(p, name)
	if empty != nil && !s.takesEmpty(p, then.schema) {
		then.schema = keyword("anyOf", []any{empty, then.schema})
	} else if rest, ok := then.schema.Get("x-validate").(string); ok {
		then.schema.Set("x-validate", name+","+rest)
	}
	return then
}

// takesEmpty says whether a schema takes what emptyOf describes.
func (s *Schemas) takesEmpty(p place, schema *Object) bool {
	sample, ok := zeroOf(p)
	switch k := p.typ.Kind(); {
	case k == reflect.Map:
		sample = []byte("{}")
	case k == reflect.Slice && isBytes(p):
		sample = []byte(`""`)
	case k == reflect.Slice:
		sample = []byte("[]")
	}
	return ok && s.Fits(schema, sample) == nil
}

// emptyOf returns the schema of the values, null aside, that a rule such as omitempty passes;
// nil for none.
func emptyOf(p place, name string) *Object {
	_, own := ownForm(p)
	k := p.typ.Kind()
	list := k == reflect.Slice || k == reflect.Map
	switch {
	case own && p.typ != timeType, k == reflect.Interface,
		name == "omitnil", name == "omitempty" && (p.pointer || list):
		return nil
	case k == reflect.Slice && !isBytes(p):
		return keyword("maxItems", 0)
	case k == reflect.Slice:
		return keyword("maxLength", 0)
	case k == reflect.Map:
		return keyword("maxProperties", 0)
	}
	return zeroForm(p)
}

// zeroForm returns the schema of a place's zero value, nil if it has none in JSON.
func zeroForm(p place) *Object {
	if isStruct(p) {
		members := &Object{}
		fields, _ := jsonFields(p.typ)
		for _, f := range fields {
			if f.behind() != "" { // it being there means that there is a struct
				members.Set(f.name, false)
			} else if zero := zeroForm(place{typ: f.Type, dir: p.dir, quoted: f.quoted}); zero != nil {
				members.Set(f.name, zero)
			}
		}
		return keyword("type", "object").Set("properties", members)
	}
	zero, ok := zeroOf(p)
	if !ok {
		return nil
	}
	return keyword("const", json.RawMessage(zero))
}

// nilPasses says whether nil passes rules where a pointer stands. The validator lets nothing
// but these pass, and the rules about other fields; of one that it does not know, nobody can
// say.
func nilPasses(rules []string) bool {
	if len(rules) == 0 {
		return true
	}
	for alternative := range strings.SplitSeq(rules[0], "|") {
		name, _, _ := strings.Cut(alternative, "=")
		if !refusesNil(name) { // omitempty and its like, isdefault, or unknown
			return true
		}
	}
	return false
}

// dive returns what rules say of the elements of a list or a map.
func (s *Schemas) dive(p place, rules []string) (rule, error) {
	k := p.typ.Kind()
	form := &Object{}
	if k == reflect.Map && len(rules) > 0 && rules[0] == "keys" {
		end := max(slices.Index(rules, "endkeys"), 1)
		names, err := s.keys(p, rules[1:end])
		if err != nil {
			return rule{}, err
		}
		if len(names.members) > 0 {
			form.Set("propertyNames", names)
		}
		rules = rules[min(end+1, len(rules)):]
	}
	if k != reflect.Map && k != reflect.Slice && k != reflect.Array || isBytes(p) || p.quoted {
		return says(keyword("x-validate", strings.Join(append([]string{"dive"}, rules...), ","))), nil
	}
	elem := p.to(p.typ.Elem())
	elem.rules = rules
	made, err := s.shape(elem)
	if err != nil {
		return rule{}, err
	}
	word := "items"
	if k == reflect.Map {
		word = "additionalProperties"
	}
	return says(form.Set(word, s.seal(made))), nil
}

// keys returns what rules say of the keys of a map: texts, numbers as well.
func (s *Schemas) keys(p place, rules []string) (*Object, error) {
	key := p.to(p.typ.Key())
	key.quoted = key.typ.Kind() != reflect.String
	r, err := s.follow(key, rules)
	if err != nil {
		return nil, err
	}
	if pattern := quotedForm(key.typ.Kind()).Get("pattern"); pattern != nil && key.quoted {
		return merge(keyword("pattern", pattern), r.schema), nil
	}
	return r.schema, nil
}

// alternatives returns what a rule says, or those of "a|b" of which one must hold.
func (s *Schemas) alternatives(p place, text string) rule {
	var schemas []any
	whole := rule{known: true}
	free := false // one of them passes all values
	for alternative := range strings.SplitSeq(text, "|") {
		name, param, _ := strings.Cut(alternative, "=")
		param = strings.ReplaceAll(strings.ReplaceAll(param, "0x2C", ","), "0x7C", "|")
		r := ruleOf(p, name, param)
		schemas = append(schemas, r.schema)
		whole = rule{r.schema, whole.null || r.null, whole.known && r.known}
		free = free || len(r.schema.members) == 0
	}
	switch {
	case len(schemas) == 1 && whole.known:
	case len(schemas) == 1:
		whole.schema = merge(whole.schema, keyword("x-validate", text))
	case !whole.known:
		whole.schema = keyword("x-validate", text)
	case free:
		whole.schema = &Object{}
	default:
		whole.schema = keyword("anyOf", schemas)
	}
	return whole
}

// ruleOf returns what a rule says of the values of a place.
func ruleOf(p place, name, param string) rule {
	_, own := ownForm(p)
	k := p.typ.Kind()
	list := k == reflect.Slice || k == reflect.Map
	switch {
	case own && p.typ != timeType:
		// What comes of a RawMessage is never nil, not even of null.
		return rule{&Object{}, name != "required", name == "required" && (p.pointer || p.typ == rawType)}
	case name == "required" && (p.pointer || list || k == reflect.Interface):
		return present()
	case name == "isdefault" && (p.pointer || list):
		return rule{nothing().schema, true, true}
	case k == reflect.Interface:
		return unknown()
	case name == "required":
		return notZero(p)
	case name == "isdefault":
		if zero := zeroForm(p); zero != nil {
			return says(zero)
		}
	case p.quoted:
		return quotedRule(p, name, param)
	case slices.Contains([]string{"len", "eq", "ne", "min", "gte", "max", "lte", "gt", "lt"}, name):
		return compare(p, name, param)
	case k == reflect.String:
		return textRule(name, param)
	case name == "oneof" && integer(k) != nil:
		return oneOf(p, words(param))
	case name == "unique" && param == "" && (k == reflect.Slice || k == reflect.Array) && !isBytes(p):
		return unique(p.typ.Elem())
	case name == "port" && reflect.Uint <= k && k <= reflect.Uint64:
		return says(keyword("minimum", 1).Set("maximum", math.MaxUint16))
	case (name == "number" || name == "numeric") && reflect.Int <= k && k <= reflect.Float64,
		name == "boolean" && k == reflect.Bool:
		return anything()
	}
	return unknown()
}

func notZero(p place) rule {
	zero := zeroForm(p)
	switch k := p.typ.Kind(); {
	case zero == nil:
		return unknown()
	case p.quoted:
	case k == reflect.String:
		return says(keyword("minLength", 1))
	case k == reflect.Bool:
		return says(keyword("const", true))
	case reflect.Uint <= k && k <= reflect.Uintptr:
		return says(keyword("minimum", 1))
	}
	return says(keyword("not", zero))
}

// quotedRule is one of a number or bool that is written as a text.
func quotedRule(p place, name, param string) rule {
	k := p.typ.Kind()
	if k == reflect.String || k == reflect.Float32 || k == reflect.Float64 {
		return unknown()
	}
	var list []any
	switch name {
	case "eq", "ne", "len":
		value, ok := constant(p.typ, param)
		if !ok || k == reflect.Bool && name == "len" {
			return unknown()
		}
		list = []any{string(value)}
	case "oneof":
		if k == reflect.Bool {
			return unknown()
		}
		for _, word := range words(param) {
			list = append(list, word)
		}
	default:
		return unknown()
	}
	if name == "ne" {
		return says(keyword("not", keyword("enum", list)))
	}
	return says(keyword("enum", list))
}

// constant reads the parameter of a rule such as eq, as the validator does for a type.
func constant(t reflect.Type, param string) (json.Number, bool) {
	k := t.Kind()
	switch {
	case t == durationType:
		if d, err := time.ParseDuration(param); err == nil {
			return json.Number(strconv.FormatInt(int64(d), 10)), true
		}
		fallthrough
	case reflect.Int <= k && k <= reflect.Int64:
		n, err := strconv.ParseInt(param, 0, 64)
		return json.Number(strconv.FormatInt(n, 10)), err == nil
	case reflect.Uint <= k && k <= reflect.Uintptr:
		n, err := strconv.ParseUint(param, 0, 64)
		return json.Number(strconv.FormatUint(n, 10)), err == nil
	case k == reflect.Bool:
		b, err := strconv.ParseBool(param)
		return json.Number(strconv.FormatBool(b)), err == nil
	}
	f, err := strconv.ParseFloat(param, t.Bits())
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", false
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, t.Bits())), true
}

// compare is a rule that compares a number or a size with its parameter.
func compare(p place, name, param string) rule {
	k := p.typ.Kind()
	switch {
	case k == reflect.Bool && (name == "eq" || name == "ne"):
		value, err := strconv.ParseBool(param)
		if err != nil {
			return unknown()
		}
		return says(keyword("const", value == (name == "eq")))
	case k == reflect.String && name == "eq":
		return says(keyword("const", param))
	case k == reflect.String && name == "ne":
		return says(keyword("not", keyword("const", param)))
	case k == reflect.String:
		return size(name, param, "minLength", "maxLength")
	case k == reflect.Map:
		return size(name, param, "minProperties", "maxProperties")
	case k == reflect.Slice && isBytes(p):
		return unknownSize(name, param)
	case k == reflect.Slice, k == reflect.Array:
		return size(name, param, "minItems", "maxItems")
	case integer(k) == nil && k != reflect.Float32 && k != reflect.Float64:
		return unknown()
	}
	value, ok := constant(p.typ, param)
	if !ok {
		return unknown()
	}
	switch name {
	case "len", "eq":
		return says(keyword("const", value))
	case "ne":
		return says(keyword("not", keyword("const", value)))
	case "min", "gte":
		return says(keyword("minimum", value))
	case "max", "lte":
		return says(keyword("maximum", value))
	case "gt":
		return says(keyword("exclusiveMinimum", value))
	}
	return says(keyword("exclusiveMaximum", value))
}

// size is a rule about a length. A nil list has none.
func size(name, param, low, high string) rule {
	n, err := strconv.ParseInt(param, 0, 64)
	if err != nil {
		return unknown()
	}
	least, most := int64(0), int64(math.MaxInt64)
	switch name {
	case "len", "eq", "ne":
		least, most = n, n
	case "min", "gte":
		least = n
	case "max", "lte":
		most = n
	case "gt":
		if n == math.MaxInt64 {
			return nothing()
		}
		least = n + 1
	case "lt":
		if n == math.MinInt64 {
			return nothing()
		}
		most = n - 1
	}
	form := &Object{}
	if least > 0 {
		form.Set(low, least)
	}
	if most < math.MaxInt64 {
		form.Set(high, max(most, 0))
	}
	r := rule{form, least <= 0 && 0 <= most, true}
	switch {
	case name == "ne" && most < 0:
		return anything()
	case name == "ne":
		return rule{keyword("not", form), !r.null, true}
	case most < 0:
		return nothing()
	}
	return r
}

// unknownSize is a rule about the length of bytes, which base64 does not show; nil's is known.
func unknownSize(name, param string) rule {
	r := unknown()
	r.null = size(name, param, "", "").null
	return r
}

// words splits the parameter of oneof; one with spaces stands between apostrophes.
func words(param string) (list []string) {
	for param = strings.TrimSpace(param); param != ""; param = strings.TrimSpace(param) {
		var word string
		if inner, ok := strings.CutPrefix(param, "'"); ok && strings.Contains(inner, "'") {
			word, param, _ = strings.Cut(inner, "'")
		} else if at := strings.IndexFunc(param, isSpace); at >= 0 {
			word, param = param[:at], param[at:]
		} else {
			word, param = param, ""
		}
		list = append(list, strings.ReplaceAll(word, "'", ""))
	}
	return list
}

func isSpace(r rune) bool { return strings.ContainsRune("\t\n\f\r ", r) }

// oneOf is a rule that lists integers as they are written.
func oneOf(p place, list []string) rule {
	values := []any{}
	for _, word := range list {
		n, ok := constant(p.typ, word)
		if ok && string(n) == word {
			values = append(values, n)
		}
	}
	if len(values) == 0 {
		return nothing()
	}
	return says(keyword("enum", values))
}

// unique compares elements as Go does, which is as JSON does for the plain kinds.
func unique(elem reflect.Type) rule {
	_, own := ownForm(place{typ: elem, dir: Received})
	if k := elem.Kind(); own || k != reflect.String && (k < reflect.Bool || reflect.Float64 < k) {
		return unknown()
	}
	return says(keyword("uniqueItems", true))
}

// merge returns a schema that says what two say. The first is changed unless it is a reference.
func merge(a, b *Object) *Object {
	switch {
	case len(b.members) == 0:
		return a
	case len(a.members) == 0:
		return b
	case a.Get("$ref") != nil:
		a = keyword("allOf", []any{a})
	}
	if b.Get("$ref") != nil {
		b = keyword("allOf", []any{b})
	}
	for _, m := range b.members {
		old := a.Get(m.name)
		switch both := and(m.name, old, m.value); {
		case old == nil:
			a.Set(m.name, m.value)
		case both != nil:
			a.Set(m.name, both)
		default:
			rest, _ := a.Get("allOf").([]any)
			a.Set("allOf", append(rest, keyword(m.name, m.value)))
		}
	}
	return a
}

// and returns one value of a keyword that says what two say, or nil.
func and(name string, a, b any) any {
	lower := a != nil && number(a).Cmp(number(b)) < 0
	switch name {
	case "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties":
		if lower {
			return b
		}
		return a
	case "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties":
		if lower {
			return a
		}
		return b
	case "x-validate":
		if a != nil {
			return a.(string) + "," + b.(string)
		}
	case "allOf":
		if a != nil {
			return append(a.([]any), b.([]any)...)
		}
	}
	return nil
}
