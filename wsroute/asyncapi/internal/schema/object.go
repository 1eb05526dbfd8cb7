package schema

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Object is a JSON object that keeps the order of its members. The zero value is empty. It is
// not safe for concurrent use.
type Object struct{ members []member }

type member struct {
	name  string
	value any // what encoding/json can write, such as an *Object
}

// Set gives a member a value, in its place or behind all others, and returns the object.
func (o *Object) Set(name string, value any) *Object {
	if i := o.index(name); i >= 0 {
		o.members[i].value = value
	} else {
		o.members = append(o.members, member{name, value})
	}
	return o
}

// Get returns the value of a member, nil if there is none.
func (o *Object) Get(name string) any {
	if i := o.index(name); i >= 0 {
		return o.members[i].value
	}
	return nil
}

// Names returns the names of the members in their order.
func (o *Object) Names() (names []string) {
	for _, m := range o.members {
		names = append(names, m.name)
	}
	return names
}

func (o *Object) index(name string) int {
	return slices.IndexFunc(o.members, func(m member) bool { return m.name == name })
}

// MarshalJSON writes the members in their order, and leaves <, > and & as they are. So does an
// outer json.Encoder with SetEscapeHTML(false).
func (o *Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := o.write(&b)
	return b.Bytes(), err
}

// write writes the object at once: by way of encoding/json, each level would be read again.
func (o *Object) write(b *bytes.Buffer) error {
	b.WriteByte('{')
	for i, m := range o.members {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := write(b, m.name); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := write(b, m.value); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func write(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case *Object:
		if v != nil {
			return v.write(b)
		}
	case []*Object:
		return writeList(b, v)
	case []any:
		return writeList(b, v)
	}
	text, err := encode(v)
	b.Write(text)
	return err
}

func writeList[T any](b *bytes.Buffer, list []T) error {
	if list == nil {
		b.WriteString("null")
		return nil
	}
	b.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := write(b, v); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

// Indent returns the object as a text of several lines that ends in a newline.
func (o *Object) Indent() ([]byte, error) {
	flat, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, flat, "", "  "); err != nil {
		return nil, err
	}
	return append(b.Bytes(), '\n'), nil
}

// encode is json.Marshal that leaves <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
