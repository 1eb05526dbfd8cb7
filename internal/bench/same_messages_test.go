package main

import (
	"bufio"
	"testing"
)

// The channel of usher and those that are written by hand answer the same, byte for byte.
func TestSameMessages(t *testing.T) {
	for _, name := range trio {
		addr, id := serving(t, name)
		for _, room := range []struct {
			name  string
			lines [][2]string
		}{
			{"lobby", [][2]string{
				{`{"type":"say","ref":7,"text":"hi"}`, `{"type":"said","ref":7,"from":"alice","text":"hi"}`},
				{`{"text":"hi","ref":"a","type":"say"}`, `{"type":"said","ref":"a","from":"alice","text":"hi"}`},
				{`{"type":"say","text":"hi"}`, `{"type":"said","from":"alice","text":"hi"}`},
				{`{"type":"what","ref":7}`, `{"type":"error","ref":7,"reason":"unknown_type"}`},
				{`x`, `{"type":"error","reason":"invalid_json"}`},
				{`{"type":"say","ref":7,"text":1}`, `{"type":"error","ref":7,"reason":"invalid_message","errors":[{"loc":["text"],"code":"string"}]}`},
				{`{"type":"ping","ref":7}`, `{"type":"pong","ref":7}`},
			}},
			{"quiet", [][2]string{
				{`{"type":"say","ref":7,"text":"hi"}`, `{"type":"error","ref":7,"reason":"muted"}`},
			}},
		} {
			a := asks(id.token)[0]
			a.path = channelPath + room.name
			r := bufio.NewReader(nil)
			conn, err := a.open(addr, r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer conn.Close()
			for _, line := range room.lines {
				// Typing has no answer: the next message is that of the line.
				messages := append(frame(opText, []byte(`{"type":"typing"}`)), frame(opText, []byte(line[0]))...)
				if _, err := conn.Write(messages); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if op, got, err := readFrame(r, nil); err != nil || op != opText || string(got) != line[1] {
					t.Errorf("%s: %s\n got %d %s, %v\nwant %s", name, line[0], op, got, err, line[1])
				}
			}
		}
	}
}
