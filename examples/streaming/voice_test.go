package main

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// speaker sends text and binary messages.
type speaker = wstest.Peer[wsroute.Message, wsroute.Message]

func dialVoice(t *testing.T) *speaker {
	t.Helper()
	return wstest.Dial[wsroute.Message, wsroute.Message](t, start(t).server, "/voice", bearer(t))
}

// speak sends a chunk of samples of -2.
func speak(p *speaker, length int) {
	p.Send(wsroute.Message{Binary: true, Data: bytes.Repeat([]byte{0xfe, 0xff}, length)[:length]})
}

func TestARecording(t *testing.T) {
	p := dialVoice(t)
	speak(p, 2)
	wstest.Converse(t, p,
		`< {"type":"error","reason":"not_recording"}`,
		`> {"type":"start","ref":1,"language":"xx"}`,
		`< {"type":"error","ref":1,"reason":"invalid_message","errors":[{"loc":["language"],"code":"oneof"}]}`,
		`> {"type":"start","ref":2,"language":"en"}`, `< {"type":"started","ref":2}`,
		`> {"type":"start","ref":3,"language":"en"}`, `< {"type":"error","ref":3,"reason":"recording"}`,
	)
	for range 3 {
		speak(p, maxChunk)
		wstest.Converse(t, p, `< {"type":"level","peak":2}`)
	}
	wstest.Converse(t, p,
		`> {"type":"stop","ref":4}`, `< {"type":"recorded","ref":4,"language":"en","millis":600}`,
		`> {"type":"stop","ref":5}`, `< {"type":"error","ref":5,"reason":"not_recording"}`,
	)
}

// TestLimits of a chunk, of a recording, of a message and of a second.
func TestLimits(t *testing.T) {
	began := []string{`> {"type":"start","language":"en"}`, `< {"type":"started"}`}
	t.Run("a chunk", func(t *testing.T) {
		p := dialVoice(t)
		wstest.Converse(t, p, began...)
		for _, length := range []int{maxChunk + 2, 1} {
			speak(p, length)
			wstest.Converse(t, p, `< {"type":"error","reason":"bad_chunk"}`)
		}
	})
	t.Run("a recording", func(t *testing.T) {
		r := &Recorder{language: "en", sound: make([]byte, maxRecording)}
		var in struct {
			Recorder *Recorder
			Sender   wsroute.Sender[Event]
		}
		in.Recorder = r
		if err := chunk(t.Context(), make([]byte, 2), in); err == nil || len(r.sound) != maxRecording {
			t.Errorf("more than a minute is recorded: %v", err)
		}
	})
	t.Run("a message", func(t *testing.T) {
		p := dialVoice(t)
		speak(p, int(limits.ReadLimit)+1)
		wstest.Converse(t, p, `x 1009 message_too_big`)
	})
	t.Run("a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := dialVoice(t)
			wstest.Converse(t, p, began...)
			for range int(2 * limits.MessageRate) {
				speak(p, 2)
			}
			if closed := p.Closed(); fmt.Sprint(closed.Code, " ", closed.Reason) != "1008 too_many_messages" {
				t.Errorf("closed with %v", closed)
			}
		})
	})
}
