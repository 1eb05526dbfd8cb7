package wsconn

import (
	"strings"
	"time"
)

// Settings are what bounds a connection. Connections share them.
type Settings struct {
	Limits
	DropOldest bool // a full queue drops its oldest message
	Discard    bool // what comes is dropped
	Errors     *Errors
}

// Limits are those of wsroute.Limits, where each is described.
type Limits struct {
	ReadLimit      int64
	ReadAhead      int
	StallTimeout   time.Duration
	MessageTimeout time.Duration
	MessageRate    float64
	MessageBurst   int
	SendQueue      int
	SendMessages   int
	WriteTimeout   time.Duration
	PingInterval   time.Duration
	PongTimeout    time.Duration
	CloseTimeout   time.Duration
	CloseGrace     time.Duration
}

// Errors are the program's words for the ends of a connection.
type Errors struct {
	Lost, SlowReader, Stalled, Expired, Protocol error
	// PeerClosed makes the error of the peer's close frame.
	PeerClosed func(code int, reason string) error
}

// Hooks are what a connection asks of the program.
type Hooks struct {
	// Aside may take a message that is no business of the handler's. Messages behind one
	// with work wait until that has returned, and are dropped if it returns false. Aside
	// is called on the reading goroutine and must not keep the message; work runs on a
	// goroutine of its own, one after the other. nil takes none.
	Aside func(*Message) (taken bool, work func() bool)
	// Check is called on its own goroutine at the time of [Conn.CheckAt].
	Check func()
	// Trace is told what happens; nil for nobody.
	Trace Tracer
}

// Close codes that are sent (RFC 6455 §7.4.1; 1012, 1013 and 3000 are of the IANA
// registry), and two that only stand for something.
const (
	CodeNormal       = 1000
	CodeGoingAway    = 1001
	CodeProtocol     = 1002
	CodeUnsupported  = 1003
	CodeNoStatus     = 1005 // a close frame without a code
	CodeAbnormal     = 1006 // no close frame
	CodeInvalid      = 1007
	CodePolicy       = 1008
	CodeTooBig       = 1009
	CodeInternal     = 1011
	CodeRestart      = 1012
	CodeTryAgain     = 1013
	CodeUnauthorized = 3000
)

// Sendable says whether a code may stand in a close frame (RFC 6455 §7.4, and 1012 to 1014
// of the IANA registry).
func Sendable(code int) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 ||
		code >= 3000 && code <= 4999
}

// MaxReason is how many bytes of reason fit into a close frame: a control frame's 125 less
// the code's 2 (RFC 6455 §5.5).
const MaxReason = 123

// CutReason makes a reason fit: valid UTF-8, cut between two runes.
func CutReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	return strings.ToValidUTF8(reason[:min(len(reason), MaxReason)], "") // without half a rune
}
