package main

import (
	"context"
	"encoding/binary"
	"net/http"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// The sound, and its limits.
const (
	bytesPerSecond = 2 * 16_000
	maxChunk       = bytesPerSecond / 5
	maxRecording   = 60 * bytesPerSecond
)

// limits are those of all messages: a chunk fits, and there may be 50 in a second.
var limits = wsroute.Limits{ReadLimit: maxChunk + 1<<10, MessageRate: 50}

// What comes beside the sound.
type (
	Start struct {
		Language string `json:"language" validate:"oneof=de en fr"`
	}
	Stop struct{}
)

// What is sent. Level is how loud a chunk was.
type (
	Started struct{}
	Level   struct {
		Peak int `json:"peak"`
	}
	Recorded struct {
		Language string `json:"language"`
		Millis   int64  `json:"millis"`
	}
)

func (Started) event()  {}
func (Level) event()    {}
func (Recorded) event() {}

var recordings = wsroute.Union[Event]{"started": Started{}, "level": Level{}, "recorded": Recorded{}}

// Recorder is what a connection records. Its messages are handled one after the other, so that it
// needs no lock.
type Recorder struct {
	language string // empty while nothing is recorded
	sound    []byte
}

func recorder(context.Context, struct{}) (*Recorder, error) { return new(Recorder), nil }

func refused(status int, reason string) error {
	return &depends.Rejection{Status: status, Reason: reason}
}

func startRecording(_ context.Context, m Start, in struct{ Recorder *Recorder }) (Started, error) {
	if in.Recorder.language != "" {
		return Started{}, refused(http.StatusConflict, "recording")
	}
	*in.Recorder = Recorder{language: m.Language}
	return Started{}, nil
}

// chunk takes sound. A binary message has no ref, so its answer is an event.
func chunk(ctx context.Context, sound []byte, in struct {
	Recorder *Recorder
	Sender   wsroute.Sender[Event]
},
) error {
	switch r := in.Recorder; {
	case r.language == "":
		return refused(http.StatusConflict, "not_recording")
	case len(sound) > maxChunk || len(sound)%2 != 0:
		return refused(http.StatusBadRequest, "bad_chunk")
	case len(r.sound)+len(sound) > maxRecording:
		return refused(http.StatusConflict, "recording_too_long")
	}
	in.Recorder.sound = append(in.Recorder.sound, sound...)
	peak := 0
	for ; len(sound) > 0; sound = sound[2:] {
		sample := int(int16(binary.LittleEndian.Uint16(sound))) //nolint:gosec // the bits of a sample
		peak = max(peak, sample, -sample)
	}
	return in.Sender.Send(ctx, Level{peak})
}

func stopRecording(_ context.Context, _ Stop, in struct{ Recorder *Recorder }) (Recorded, error) {
	if in.Recorder.language == "" {
		return Recorded{}, refused(http.StatusConflict, "not_recording")
	}
	length := time.Duration(len(in.Recorder.sound)) * time.Second / bytesPerSecond
	done := Recorded{in.Recorder.language, length.Milliseconds()}
	*in.Recorder = Recorder{}
	return done, nil
}

// listen adds the route that records speech.
func listen(ws *wsroute.Router) {
	depends.Provide(ws.Deps(), recorder)
	c := wsroute.HandleMessages(ws, "/voice", recordings, limits, wsroute.Require[User](), wsroute.Require[*Recorder]())
	wsroute.Answer(c, "start", startRecording)
	wsroute.OnBinary(c, chunk)
	wsroute.Answer(c, "stop", stopRecording)
}
