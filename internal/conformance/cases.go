package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Case is one exchange: what is sent, and what must come back, in order. If Want does
// not end with a close frame, the client closes with 1000 and wants that back.
type Case struct {
	Name  string
	Send  []Frame
	Early bool // sent together with the handshake
	Chop  int  // the octets are written so many at a time; 0 is all at once
	Want  []Event
}

// closing is a close frame as the server must send it, of which only the code counts.
func closing(code int) Event {
	return Event{Close, binary.BigEndian.AppendUint16(nil, uint16(code))}
}

// body is what a close frame carries.
func body(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

func text(s string) Event { return Event{Text, []byte(s)} }

// Cases returns all cases for a server that takes messages of up to largest octets.
func Cases(largest int) []Case {
	var all []Case
	for _, section := range [][]Case{
		sizes(largest), fragments(), controls(), broken(), encodings(), closes(), rest(),
	} {
		all = append(all, section...)
	}
	return all
}

func sizes(largest int) []Case {
	var all []Case
	for _, kind := range []byte{Text, Binary} {
		for _, n := range []int{0, 1, 2, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 1 << 20, largest} {
			payload := bytes.Repeat([]byte("*"), n)
			for _, chop := range []int{0, 1, 2, 7, 997} {
				if n > 1<<16 && chop > 0 || n > 128 && chop > 0 && chop < 997 {
					continue
				}
				all = append(all, Case{
					Name: fmt.Sprintf("sizes/opcode %d, %d octets, in chops of %d", kind, n, chop),
					Send: []Frame{{Opcode: kind, Payload: payload}}, Chop: chop, Want: []Event{{kind, payload}},
				})
			}
		}
		over := bytes.Repeat([]byte("*"), largest+1)
		all = append(all,
			Case{Name: fmt.Sprintf("sizes/opcode %d, one octet too many", kind), Send: []Frame{{Opcode: kind, Payload: over}}, Want: []Event{closing(1009)}},
			Case{
				Name: fmt.Sprintf("sizes/opcode %d, one octet too many in two fragments", kind),
				Send: []Frame{{Opcode: kind, Payload: over[1:], More: true}, {Opcode: Continuation, Payload: over[:1]}}, Want: []Event{closing(1009)},
			},
			Case{Name: fmt.Sprintf("sizes/opcode %d, a length of 2^62", kind), Send: []Frame{{Opcode: kind, Payload: []byte("x"), Length: 1 << 62}}, Want: []Event{closing(1009)}},
		)
	}
	for _, n := range []int{0, 5, 125} { // the RFC asks the sender for the shortest form
		for _, wide := range []int{16, 64} {
			payload := bytes.Repeat([]byte("*"), n)
			all = append(all, Case{
				Name: fmt.Sprintf("sizes/%d octets with a length of %d bits", n, wide),
				Send: []Frame{{Opcode: Binary, Payload: payload, Wide: wide, Length: uint64(n)}}, Want: []Event{{Binary, payload}},
			})
		}
	}
	return all
}

// cut returns a message as fragments that end at the given places.
func cut(kind byte, payload []byte, at ...int) []Frame {
	var out []Frame
	from := 0
	for _, to := range append(at, len(payload)) {
		out = append(out, Frame{Opcode: kind, Payload: payload[from:to], More: true})
		kind, from = Continuation, to
	}
	out[len(out)-1].More = false
	return out
}

func fragments() []Case {
	var all []Case
	hello := []byte("Hello, world")
	for at := range len(hello) + 1 {
		for _, kind := range []byte{Text, Binary} {
			all = append(all, Case{
				Name: fmt.Sprintf("fragments/opcode %d cut at %d", kind, at), Send: cut(kind, hello, at), Want: []Event{{kind, hello}},
			})
		}
		between := cut(Text, hello, at)
		between = []Frame{between[0], {Opcode: Ping, Payload: []byte("between")}, between[1]}
		all = append(all, Case{
			Name: fmt.Sprintf("fragments/a ping between two, cut at %d", at), Send: between,
			Want: []Event{{Pong, []byte("between")}, {Text, hello}},
		})
	}
	each := make([]int, len(hello))
	for i := range each {
		each[i] = i
	}
	refused := func(name string, frames ...Frame) Case {
		return Case{Name: "fragments/" + name, Send: frames, Want: []Event{closing(1002)}}
	}
	return append(all,
		Case{Name: "fragments/each octet by itself", Send: cut(Text, hello, each...), Want: []Event{{Text, hello}}},
		Case{Name: "fragments/each octet by itself, chopped", Send: cut(Text, hello, each...), Chop: 1, Want: []Event{{Text, hello}}},
		Case{Name: "fragments/three empty ones", Send: cut(Text, nil, 0, 0), Want: []Event{text("")}},
		Case{Name: "fragments/an unasked pong between", Send: []Frame{{Opcode: Text, Payload: []byte("a"), More: true}, {Opcode: Pong}, {Payload: []byte("b")}}, Want: []Event{text("ab")}},
		Case{Name: "fragments/a close between", Send: []Frame{{Opcode: Text, Payload: []byte("a"), More: true}, {Opcode: Close, Payload: body(1000, "")}}, Want: []Event{closing(1000)}},
		refused("a continuation of nothing", Frame{Payload: []byte("x")}),
		refused("a continuation of nothing that goes on", Frame{Payload: []byte("x"), More: true}, Frame{Payload: []byte("y")}),
		refused("a text within a text", Frame{Opcode: Text, More: true}, Frame{Opcode: Text}),
		refused("a binary within a text", Frame{Opcode: Text, More: true}, Frame{Opcode: Binary}),
	)
}

func controls() []Case {
	var all []Case
	for _, n := range []int{0, 1, 2, 7, 64, 124, 125} {
		for _, chop := range []int{0, 1} {
			payload := bytes.Repeat([]byte{0xfe}, n)
			all = append(all, Case{
				Name: fmt.Sprintf("controls/a ping of %d octets in chops of %d", n, chop), Chop: chop,
				Send: []Frame{{Opcode: Ping, Payload: payload}, {Opcode: Text, Payload: []byte("x")}}, Want: []Event{{Pong, payload}, text("x")},
			}, Case{
				Name: fmt.Sprintf("controls/an unasked pong of %d octets in chops of %d", n, chop), Chop: chop,
				Send: []Frame{{Opcode: Pong, Payload: payload}, {Opcode: Text, Payload: []byte("x")}}, Want: []Event{text("x")},
			})
		}
	}
	for _, opcode := range []byte{Close, Ping, Pong} {
		all = append(all,
			Case{Name: fmt.Sprintf("controls/opcode %d of 126 octets", opcode), Send: []Frame{{Opcode: opcode, Payload: body(1000, strings.Repeat("x", 124))}}, Want: []Event{closing(1002)}},
			Case{Name: fmt.Sprintf("controls/opcode %d in fragments", opcode), Send: []Frame{{Opcode: opcode, More: true}, {Opcode: Continuation}}, Want: []Event{closing(1002)}},
		)
	}
	var pings []Frame
	var pongs []Event
	for i := range 10 {
		payload := []byte(fmt.Sprint("ping ", i))
		pings, pongs = append(pings, Frame{Opcode: Ping, Payload: payload}), append(pongs, Event{Pong, payload})
	}
	return append(all,
		Case{Name: "controls/ten pings", Send: pings, Want: pongs},
		Case{Name: "controls/ten pings, chopped", Send: pings, Chop: 1, Want: pongs},
	)
}

// broken are frames that no client may send.
func broken() []Case {
	var all []Case
	add := func(name string, f Frame) {
		for _, first := range []bool{true, false} {
			c := Case{Name: fmt.Sprintf("broken/%s, at first %t", name, first), Send: []Frame{f}, Want: []Event{closing(1002)}}
			if !first {
				f.After = 1 // a server may fail the connection before it has answered
				c.Send = []Frame{{Opcode: Text, Payload: []byte("before")}, f, {Opcode: Ping}}
				c.Want = []Event{text("before"), closing(1002)}
			}
			all = append(all, c)
		}
	}
	for rsv := byte(1); rsv < 8; rsv++ {
		for _, opcode := range []byte{Text, Binary, Close, Ping, Pong} {
			add(fmt.Sprintf("RSV %03b with opcode %d", rsv, opcode), Frame{Opcode: opcode, RSV: rsv, Payload: body(1000, "x")})
		}
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		add(fmt.Sprintf("reserved opcode %d", opcode), Frame{Opcode: opcode})
		add(fmt.Sprintf("reserved opcode %d with a payload", opcode), Frame{Opcode: opcode, Payload: []byte("x")})
	}
	for _, opcode := range []byte{Text, Binary, Close, Ping, Pong} {
		add(fmt.Sprintf("opcode %d without a mask", opcode), Frame{Opcode: opcode, Payload: body(1000, "x"), Bare: true})
	}
	return all
}

// good and bad are texts by what is said of them.
var good = []string{
	"", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x00", "\u0080", "\u0800", "\U00010000", "\x7f", "\u07ff", "\uffff", "\U0010ffff",
	"\ud7ff", "\ue000", "\ufffd", "\ufdd0", "\U0001fffe", "€", "😀",
}

var bad = []string{
	"\x80", "\xbf", "\xc0", "\xc1", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf",
	"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
	"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "κόσμε\xed\xa0\x80edited", "a\xc3(",
}

func encodings() []Case {
	var all []Case
	for i, s := range good {
		for at := range len(s) + 1 {
			all = append(all, Case{Name: fmt.Sprintf("encodings/good text %d cut at %d", i, at), Send: cut(Text, []byte(s), at), Want: []Event{text(s)}})
		}
		all = append(all, Case{Name: fmt.Sprintf("encodings/good text %d, chopped", i), Send: cut(Text, []byte(s)), Chop: 1, Want: []Event{text(s)}})
	}
	for i, s := range bad {
		for at := range len(s) + 1 {
			all = append(all, Case{Name: fmt.Sprintf("encodings/bad text %d cut at %d", i, at), Send: cut(Text, []byte(s), at), Want: []Event{closing(1007)}})
		}
		all = append(all,
			Case{Name: fmt.Sprintf("encodings/bad text %d as binary", i), Send: cut(Binary, []byte(s)), Want: []Event{{Binary, []byte(s)}}},
			Case{Name: fmt.Sprintf("encodings/bad reason %d", i), Send: []Frame{{Opcode: Close, Payload: body(1000, s)}}, Want: []Event{closing(1002)}},
		)
	}
	return all
}

func closes() []Case {
	var all []Case
	add := func(name string, payload []byte, want Event) {
		for _, chop := range []int{0, 1} {
			all = append(all, Case{Name: fmt.Sprintf("closes/%s in chops of %d", name, chop), Chop: chop, Send: []Frame{{Opcode: Close, Payload: payload}}, Want: []Event{want}})
		}
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999} {
		add(fmt.Sprint(code), body(code, ""), closing(code))
		add(fmt.Sprint(code, " with a reason"), body(code, "because"), closing(code))
	}
	// 1014 is of the IANA registry, and may be answered as a code that is not (gorilla does).
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		add(fmt.Sprint(code), body(code, ""), closing(1002))
	}
	add("nothing", nil, Event{Opcode: Close})
	add("half a code", []byte{3}, closing(1002))
	add("the longest reason", body(1000, strings.Repeat("*", 123)), closing(1000))
	more := []Frame{{Opcode: Close, Payload: body(1000, "")}, {Opcode: Text, Payload: []byte("late")}}
	return append(all,
		Case{Name: "closes/a text after it", Send: more, Want: []Event{closing(1000)}},
		Case{Name: "closes/a ping after it", Send: []Frame{more[0], {Opcode: Ping}}, Want: []Event{closing(1000)}},
		Case{Name: "closes/a second one", Send: []Frame{more[0], more[0]}, Want: []Event{closing(1000)}},
		Case{Name: "closes/a broken frame after it", Send: []Frame{more[0], {Opcode: 5, RSV: 7}}, Want: []Event{closing(1000)}},
		Case{Name: "closes/a message before it", Send: []Frame{more[1], more[0]}, Want: []Event{text("late"), closing(1000)}},
		Case{
			Name: "closes/messages before it", Send: []Frame{more[1], {Opcode: Text, Payload: []byte("later")}, more[1], more[0]},
			Want: []Event{text("late"), text("later"), text("late"), closing(1000)},
		},
	)
}

func rest() []Case {
	hello := []Frame{{Opcode: Text, Payload: []byte("early")}}
	return []Case{
		{Name: "early/a text", Send: hello, Early: true, Want: []Event{text("early")}},
		{Name: "early/a ping", Send: []Frame{{Opcode: Ping}}, Early: true, Want: []Event{{Opcode: Pong}}},
		{Name: "early/a close", Send: []Frame{{Opcode: Close, Payload: body(4999, "")}}, Early: true, Want: []Event{closing(4999)}},
		{Name: "early/a broken frame", Send: []Frame{{Opcode: Text, Bare: true}}, Early: true, Want: []Event{closing(1002)}},
	}
}
