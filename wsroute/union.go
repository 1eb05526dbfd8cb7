package wsroute

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-playground/validator/v10"

	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// Union names the types of messages that go one way, each by a value of it:
//
//	wsroute.Union[Event]{"said": Said{}, "left": Left{}}
//
// T is an interface that all of them implement. The types are structs, each with one name of
// letters, digits and ._:- that stands in the member type (see [TypeMember]). A pointer to one
// is sent as what it points to.
type Union[T any] map[string]T

// The members of a message beside those of its type.
const (
	typeMember = "type"
	refMember  = "ref"
)

// envelopeMembers are those of usher's own messages beside their type.
var envelopeMembers = []string{
	refMember, "reason", "detail", "retry_after", "errors", "token", "expires",
}

// reserved are the names of usher's own messages of a channel.
var reserved = []string{"error", "renew", "renewed", "cancel", "ping", "pong"}

var typeName = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

// union is a Union, compiled.
type union struct {
	of     reflect.Type // T
	member string
	names  map[reflect.Type]string
	types  map[string]received // of those that come
}

// received is a type of messages that come.
type received struct {
	typ   reflect.Type
	check func(reflect.Value) error // runs its validate tags; nil if it has none
}

// newUnion compiles a union, and says what is wrong with it. incoming says which way its
// messages go.
func newUnion[T any](members Union[T], v *validator.Validate, incoming bool) (u *union, bad []string) {
	u = &union{of: reflect.TypeFor[T](), member: typeMember}
	u.names, u.types = map[reflect.Type]string{}, map[string]received{}
	if u.of.Kind() != reflect.Interface || u.of.NumMethod() == 0 {
		bad = append(bad, graph.TypeName(u.of)+" is no interface with a method, so that any type "+
			"would be in its Union")
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		t := reflect.TypeOf(members[name])
		if before, twice := u.names[t]; twice && !incoming {
			bad = append(bad, fmt.Sprintf("%s is in the Union as %q and as %q", graph.TypeName(t), before, name))
			continue
		}
		r, faults := messageType(name, t, v, incoming)
		u.types[name] = r
		if t != nil {
			u.names[t] = name
		}
		bad = append(bad, faults...)
	}
	return u, bad
}

// messageType says what is wrong with a type of messages and its name, and returns how to check
// one that comes.
func messageType(name string, t reflect.Type, v *validator.Validate, incoming bool) (r received, bad []string) {
	r.typ = t
	note := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if !typeName.MatchString(name) {
		note("%q is no name of a message: use letters, digits and ._:-", name)
	}
	if t == nil || t.Kind() != reflect.Struct {
		what := "nil"
		if t != nil {
			what = graph.TypeName(t)
		}
		note("message %q is %s, and must be a struct", name, what)
		return r, bad
	}
	bad = append(bad, jsonFaults(t, map[reflect.Type]bool{})...)
	if incoming {
		var faults []string
		r.check, faults = newRules(v, t)
		bad = append(bad, faults...)
		for _, member := range twice(t, map[string]bool{}) {
			note("message %q: %s has two fields for the member %q, of which a provider could get one "+
				"and the handler the other", name, graph.TypeName(t), member)
		}
	} else if encodesItself(t, marshalers) {
		note("%s, message %q, has a JSON form of its own, which has no place for a type", graph.TypeName(t), name)
	}
	return r, bad
}

// twice returns the members for which a struct has two fields, of its own or of structs that it
// embeds: those of one would not be read.
func twice(t reflect.Type, seen map[string]bool) (members []string) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name := jsonName(f)
		switch {
		case tag == "-":
		case f.Anonymous && f.Type.Kind() == reflect.Struct && name == f.Name:
			members = append(members, twice(f.Type, seen)...)
		case f.IsExported() && seen[name]:
			members = append(members, name)
		case f.IsExported():
			seen[name] = true
		}
	}
	return members
}

var marshalers = []reflect.Type{
	reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}

// Receives lets a loop receive messages of several types, for a [Conn] whose Recv is the T of
// the union. What comes has the envelope of [HandleMessages], without a ref.
func Receives[T any](members Union[T]) RouteOption {
	return option{"", func(rt *route) { rt.codec.in = rt.newUnion(newUnion(members, rt.target.Graph.Validate(), true)) }}
}

// Sends lets a loop send messages of several types, for a [Conn] whose Send is the T of the
// union: see [Receives].
func Sends[T any](members Union[T]) RouteOption {
	return option{"", func(rt *route) { rt.codec.out = rt.newUnion(newUnion(members, rt.target.Graph.Validate(), false)) }}
}

func (rt *route) newUnion(u *union, bad []string) *union {
	rt.messages = append(rt.messages, bad...)
	return u
}

// checkUnions says what is wrong with the unions of a route, or that one is missing.
func (rt *route) checkUnions() (bad []string) {
	if m := rt.codec.member; m != "" && (!typeName.MatchString(m) || slices.Contains(envelopeMembers, m)) {
		return []string{fmt.Sprintf("TypeMember(%q) is no name of a member that holds the type", m)}
	} else if m != "" && rt.codec.in == nil && rt.codec.out == nil {
		return []string{"TypeMember is for messages of several types: see HandleMessages and Receives"}
	}
	for _, of := range []struct {
		union  *union
		typ    reflect.Type
		option string
	}{{rt.codec.in, rt.receives, "Receives"}, {rt.codec.out, rt.sends, "Sends"}} {
		switch u := of.union; {
		case u == nil && of.typ != nil && of.typ.Kind() == reflect.Interface && of.typ.NumMethod() > 0:
			bad = append(bad, fmt.Sprintf("%s is an interface: say which types it may be, by wsroute.%s",
				graph.TypeName(of.typ), of.option))
		case u != nil && u.of != of.typ:
			bad = append(bad, fmt.Sprintf("%s says %s, which no Conn of the handler has there",
				of.option, graph.TypeName(u.of)))
		case u != nil:
			if rt.codec.member != "" && u.member != rt.codec.member { // it may be in use by now
				u.member = rt.codec.member
			}
			for _, name := range slices.Sorted(maps.Keys(u.types)) {
				bad = append(bad, taken(name, u.types[name].typ, u.member)...)
				bad = append(bad, rt.reserves(name)...)
			}
		}
	}
	return bad
}

// reserves says whether a name is one that usher uses on the route.
func (rt *route) reserves(name string) (bad []string) {
	if rt.channel != nil && slices.Contains(reserved, name) {
		bad = append(bad, fmt.Sprintf("%q is the name of a message of usher's own", name))
	}
	return bad
}

// taken says whether a message has a member of the envelope's names.
func taken(name string, t reflect.Type, member string) (bad []string) {
	if t == nil || t.Kind() != reflect.Struct || encodesItself(t, ownEncoding) {
		return nil
	}
	for _, m := range []string{member, refMember} {
		probe := json.NewDecoder(strings.NewReader(fmt.Sprintf("{%q:null}", m)))
		probe.DisallowUnknownFields()
		var err error
		panicked := protect(name, func() { err = probe.Decode(reflect.New(t).Interface()) })
		if panicked != nil || err == nil || !strings.Contains(err.Error(), "unknown field") {
			bad = append(bad, fmt.Sprintf("message %q: %s has a member %q, which is the envelope's",
				name, graph.TypeName(t), m))
		}
	}
	return bad
}

// nameOf returns the name of a message's type.
func (u *union) nameOf(v any) (string, error) {
	value := reflect.ValueOf(v)
	for value.Kind() == reflect.Pointer || value.Kind() == reflect.Interface {
		value = value.Elem()
	}
	if !value.IsValid() {
		return "", fmt.Errorf("wsroute: Send: nil is no %s", graph.TypeName(u.of))
	}
	name, ok := u.names[value.Type()]
	if !ok {
		return "", fmt.Errorf("wsroute: Send: %s is not in the Union of %s",
			graph.TypeName(value.Type()), graph.TypeName(u.of))
	}
	return name, nil
}

// encode writes a message of the union with its type and a ref, which may be nil.
func (u *union) encode(v any, ref []byte) (*wsconn.Outgoing, error) {
	name, err := u.nameOf(v)
	if err != nil {
		return nil, err
	}
	m := begin(u.member, name, ref)
	if err := encodeTo(enveloped{m}, v); err != nil {
		m.Release()
		return nil, err
	}
	return m, nil
}

// begin returns a message whose members follow.
func begin(member, name string, ref []byte) *wsconn.Outgoing {
	m := wsconn.NewOutgoing(false)
	m.Label = name
	_, _ = m.WriteString(`{"`)
	_, _ = m.WriteString(member)
	_, _ = m.WriteString(`":"`)
	_, _ = m.WriteString(name)
	_, _ = m.WriteString(`"`)
	if ref != nil {
		_, _ = m.WriteString(`,"` + refMember + `":`)
		_, _ = m.Write(ref)
	}
	return m
}

// enveloped puts the members of a JSON object, which an encoder writes at once, behind those
// that are there.
type enveloped struct{ *wsconn.Outgoing }

func (m enveloped) Write(b []byte) (int, error) {
	members := bytes.TrimPrefix(bytes.TrimSuffix(b, []byte("\n")), []byte("{"))
	if len(members) > 1 {
		_, _ = m.WriteString(",")
	}
	_, _ = m.Outgoing.Write(members)
	return len(b), nil
}

func badMessage(reason string) *MessageError {
	code := wsconn.CodePolicy
	if reason == reasonNoJSON {
		code = wsconn.CodeInvalid
	}
	return &MessageError{Code: code, Reason: reason}
}

// decode reads a message of the union.
func (u *union) decode(in *wsconn.Message) (any, *MessageError) {
	if e := wrongKind(in, false); e != nil {
		return nil, e
	}
	var e envelope
	if reason := e.open(in.Buf.Bytes(), u.member); reason != "" {
		return nil, badMessage(reason)
	}
	r, ok := u.types[string(e.kind)]
	if !ok {
		return nil, badMessage(reasonUnknown)
	}
	message := reflect.New(r.typ)
	if bad := decodeJSON(r.check, in, message.Interface()); bad != nil {
		return nil, bad
	}
	return message.Elem().Interface(), nil
}
