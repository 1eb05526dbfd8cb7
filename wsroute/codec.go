package wsroute

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// Message is a message as it is on the wire, for handlers that take text and
// binary alike: use it as Recv, Send or both.
type Message struct {
	// Binary says that Data came or goes as a binary message; else it is text,
	// and valid UTF-8.
	Binary bool
	Data   []byte
}

// Discard is the Recv of a route that only sends, as in Conn[Discard, Price]: what the peer
// sends is read, bounded by Limits.ReadLimit and MessageRate, and dropped. So its pings
// are answered, its end is noticed, and the handler never stalls it. [Conn.Receive] then
// returns nothing but the end of the connection. See [Conn.Discard] for one that receives first.
type Discard struct{}

// MessageError is a message that could not be read as the handler's type. The
// connection stays usable. A handler that returns the error closes with Code.
type MessageError struct {
	// Code is 1003 for text where binary is wanted or the reverse, 1007 for what
	// is not JSON of the type, 1008 for what fails its validate tags.
	Code int
	// Reason is sent to the peer: "text_not_accepted", "binary_not_accepted",
	// "invalid_json", "invalid_message" or, of [Receives], "unknown_type".
	Reason string
	// Errors say which members are wrong, and how, as in a problem document.
	Errors []depends.ParamError
	// Err says what is wrong, with names of fields; it is logged, never sent.
	Err error
}

// Error returns the reason and the cause.
func (e *MessageError) Error() string {
	if e.Err == nil {
		return "wsroute: " + e.Reason
	}
	return "wsroute: " + e.Reason + ": " + e.Err.Error()
}

// Unwrap returns what is wrong with the message.
func (e *MessageError) Unwrap() error { return e.Err }

// detailed adds which members of a message of a type are wrong, and tells what is no JSON from
// what is JSON of another type.
func (e *MessageError) detailed(t reflect.Type) *MessageError {
	e.Errors = fieldErrors(t, e.Err)
	if e.Reason == reasonNoJSON && !errors.As(e.Err, new(*json.SyntaxError)) {
		e.Reason = reasonInvalid
	}
	return e
}

// Decode reads a message of a [Conn] whose Recv is [Message] as JSON of a type, and checks its
// validate tags: for a protocol of the program's own, with a type for each kind of message. The
// error is a [*MessageError]; its Errors say which members are wrong.
func Decode[T, Recv, Send any](conn *Conn[Recv, Send], message Message) (v T, err error) {
	t, e := reflect.TypeFor[T](), conn.peer.endpoint
	known, ok := e.shared.rules.Load(t)
	if !ok {
		check, bad := newRules(e.target.Graph.Validate(), t)
		known, _ = e.shared.rules.LoadOrStore(t, rules{check, bad})
	}
	r := known.(rules) //nolint:forcetypeassert // the map holds nothing else
	if r.bad != nil {
		return v, fmt.Errorf("wsroute: Decode: %s", strings.Join(r.bad, "; "))
	}
	in := &wsconn.Message{Binary: message.Binary, Buf: *bytes.NewBuffer(message.Data)}
	if bad := decodeJSON(r.check, in, &v); bad != nil {
		return *new(T), bad.detailed(t)
	}
	return v, nil
}

// rules are those of a type that is decoded, and what is wrong with them.
type rules struct {
	check func(reflect.Value) error
	bad   []string
}

// codec is how a route reads and writes its messages.
type codec struct {
	check   func(reflect.Value) error // runs the validate tags of what comes; nil if it has none
	in, out *union                    // of what comes and what is sent; nil for one type
	member  string                    // of a union; empty for the default
}

// messageRules returns what runs the validate tags of a type that is received, nil if it has
// none, and what is wrong with the types of messages.
func messageRules(
	v *validator.Validate, receives, sends reflect.Type,
) (check func(reflect.Value) error, bad []string) {
	check, bad = newRules(v, receives)
	if sends == reflect.TypeFor[Discard]() {
		bad = append(bad, "wsroute.Discard is for what comes, and cannot be sent")
	}
	return check, slices.Concat(jsonFaults(receives, map[reflect.Type]bool{}), bad,
		jsonFaults(sends, map[reflect.Type]bool{}))
}

// decode reads a message, and checks its validate tags.
func decode[Recv any](c *codec, in *wsconn.Message, into *Recv) *MessageError {
	if c.in != nil {
		v, bad := c.in.decode(in)
		*into, _ = v.(Recv)
		return bad
	}
	switch v := any(into).(type) {
	case *string:
		*v = in.Buf.String()
		return wrongKind(in, false)
	case *[]byte:
		*v = bytes.Clone(in.Buf.Bytes())
		return wrongKind(in, true)
	case *Message:
		*v = Message{in.Binary, append([]byte{}, in.Buf.Bytes()...)}
		return nil
	}
	return decodeJSON(c.check, in, into)
}

// encodeFor writes a message as a peer's route does. What is in no union is logged once.
func encodeFor[Send any](p *peer, v Send) (*wsconn.Outgoing, error) {
	u := p.endpoint.route.codec.out
	if u == nil {
		return encode(v)
	}
	m, err := u.encode(v, nil)
	if err != nil {
		p.endpoint.strange.Do(func() { p.log(slog.LevelError, "message not sent", err) })
	}
	return m, err
}

func encode[Send any](v Send) (*wsconn.Outgoing, error) {
	switch m := any(&v).(type) {
	case *string:
		return encodeText(*m)
	case *[]byte:
		return encodeMessage(Message{Binary: true, Data: *m})
	case *Message:
		return encodeMessage(*m)
	}
	return encodeJSON(v)
}

// wrongKind refuses text where binary is wanted, and the reverse.
func wrongKind(in *wsconn.Message, binary bool) *MessageError {
	if in.Binary == binary {
		return nil
	}
	reason := "text_not_accepted"
	if in.Binary {
		reason = "binary_not_accepted"
	}
	return &MessageError{Code: wsconn.CodeUnsupported, Reason: reason}
}

func decodeJSON(check func(reflect.Value) error, in *wsconn.Message, into any) *MessageError {
	if e := wrongKind(in, false); e != nil {
		return e
	}
	if err := json.Unmarshal(in.Buf.Bytes(), into); err != nil {
		return &MessageError{Code: wsconn.CodeInvalid, Reason: "invalid_json", Err: err}
	}
	if check == nil {
		return nil
	}
	message := reflect.ValueOf(into).Elem()
	for message.Kind() == reflect.Pointer {
		message = message.Elem()
	}
	if !message.IsValid() { // a pointer, and the JSON was null
		return &MessageError{Code: wsconn.CodePolicy, Reason: "invalid_message"}
	}
	err := check(message)
	if list, ok := errors.AsType[validator.ValidationErrors](err); ok && len(list) > maxErrors {
		err = fmt.Errorf("%w\nand %d more", list[:maxErrors], len(list)-maxErrors)
	}
	if err != nil {
		return &MessageError{Code: wsconn.CodePolicy, Reason: "invalid_message", Err: err}
	}
	return nil
}

// maxErrors is how many faults of one message an error names.
const maxErrors = 16

// unbroken drops the line break with which a json.Encoder ends a value.
type unbroken struct{ *wsconn.Outgoing }

func (m unbroken) Write(b []byte) (int, error) {
	_, _ = m.Outgoing.Write(bytes.TrimSuffix(b, []byte("\n")))
	return len(b), nil
}

// encodeJSON is json.Marshal that leaves <, > and & as they are.
func encodeJSON(v any) (*wsconn.Outgoing, error) {
	m := wsconn.NewOutgoing(false)
	if err := encodeTo(unbroken{m}, v); err != nil {
		m.Release()
		return nil, err
	}
	return m, nil
}

func encodeTo(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("wsroute: Send: %w", err)
	}
	return nil
}

func encodeText(text string) (*wsconn.Outgoing, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("wsroute: Send: text that is not UTF-8 (RFC 6455 §5.6); nothing was sent")
	}
	m := wsconn.NewOutgoing(false)
	_, _ = m.WriteString(text)
	return m, nil
}

func encodeMessage(message Message) (*wsconn.Outgoing, error) {
	if !message.Binary {
		return encodeText(string(message.Data))
	}
	m := wsconn.NewOutgoing(true)
	_, _ = m.Write(message.Data)
	return m, nil
}

var ownEncoding = []reflect.Type{
	reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[json.Marshaler](),
	reflect.TypeFor[encoding.TextUnmarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}

// encodesItself says whether a type has a JSON form of its own, by one of the interfaces.
func encodesItself(t reflect.Type, by []reflect.Type) bool {
	return slices.ContainsFunc(by, func(i reflect.Type) bool {
		return t.Implements(i) || reflect.PointerTo(t).Implements(i)
	})
}

// jsonFaults says which parts of a type encoding/json cannot carry.
func jsonFaults(t reflect.Type, seen map[reflect.Type]bool) (bad []string) {
	if seen[t] || encodesItself(t, ownEncoding) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return []string{fmt.Sprintf("%s cannot be JSON", graph.TypeName(t))}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return jsonFaults(t.Elem(), seen)
	case reflect.Map:
		k := t.Key()
		plain := k.Kind() == reflect.String || reflect.Int <= k.Kind() && k.Kind() <= reflect.Uintptr
		if !plain && !encodesItself(k, ownEncoding) {
			bad = []string{fmt.Sprintf("%s cannot be the key of a JSON object", graph.TypeName(k))}
		}
		return append(bad, jsonFaults(t.Elem(), seen)...)
	case reflect.Struct:
		for f := range t.Fields() {
			k := f.Type.Kind() // the exported fields of an embedded struct are the outer one's
			embedded := f.Anonymous && (k == reflect.Struct || k == reflect.Pointer)
			if f.Tag.Get("json") == "-" || !f.IsExported() && !embedded {
				continue
			}
			for _, fault := range jsonFaults(f.Type, seen) {
				bad = append(bad, fmt.Sprintf("field %s of %s: %s", f.Name, graph.TypeName(t), fault))
			}
		}
	}
	return bad
}
