package wsroute

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/gorilla/websocket"
)

// controlRate is how many pings and pongs a peer may send: it has no reason to
// send more than a few a minute.
var controlRate = rate{perSecond: 10, burst: 20}

// rate is a limit of events; the zero value is none.
type rate struct {
	perSecond float64
	burst     int
}

// bucket counts events by a rate: it holds burst tokens at first, and gets
// perSecond of them a second. The zero value is ready.
type bucket struct {
	spent float64
	at    int64 // in nanoseconds since 1970
}

// take says whether there is a token, and takes it.
func (b *bucket) take(r rate) bool {
	if r.perSecond == 0 {
		return true
	}
	now := time.Now().UnixNano()
	b.spent = max(0, b.spent-time.Duration(now-b.at).Seconds()*r.perSecond)
	b.at = now
	if b.spent+1 > float64(r.burst) {
		return false
	}
	b.spent++
	return true
}

// control counts a ping or a pong. It runs on the reading goroutine.
func (s *session) control() error {
	if s.silent.Load() || s.controls.take(controlRate) {
		return nil
	}
	s.end(fmt.Errorf("%w: more than %v control frames a second", ErrProtocol, controlRate.perSecond), closePolicy, "too_many_control_frames", true)
	return errTold
}

// assemble reads a message to its end, which has a deadline that no frame in
// between extends.
func (s *session) assemble(buf *bytes.Buffer, r io.Reader) error {
	s.assembling = true
	if s.socket.deflates { // gorilla's limit is of what comes
		r = io.LimitReader(r, s.lim.ReadLimit+1)
	}
	_, err := buf.ReadFrom(r)
	if err == nil && int64(buf.Len()) > s.lim.ReadLimit {
		err = websocket.ErrReadLimit
	}
	s.assembling = false
	s.mu.Lock()
	s.partial = time.Time{}
	s.mu.Unlock()
	return err
}

// await is called when the reading goroutine is about to wait for the peer. Most
// messages are there at once, and need no clock.
func (s *session) await() {
	if !s.assembling {
		return
	}
	s.assembling = false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = time.Now()
	if !s.ended {
		s.rearm(s.partial)
	}
}
