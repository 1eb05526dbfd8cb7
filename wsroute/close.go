package wsroute

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Close codes that usher sends by itself (RFC 6455 §7.4.1; 1012 and 1013 are of
// the IANA registry).
const (
	closeNormal      = 1000
	closeProtocol    = 1002
	closeUnsupported = 1003
	closeNoStatus    = 1005 // never sent: stands for a frame without a code
	closeAbnormal    = 1006 // never sent: stands for an end without a close frame
	closeInvalid     = 1007
	closePolicy      = 1008
	closeTooBig      = 1009
	closeInternal    = 1011
	closeRestart     = 1012
	closeTryAgain    = 1013
	closeExpired     = 3000 // Unauthorized, of the IANA registry
)

// maxReason is how many bytes of reason fit into a close frame: a control
// frame's 125 less the code's 2 (RFC 6455 §5.5).
const maxReason = 123

// Causes of the end of a connection, which context.Cause of its context tells.
var (
	// ErrClosed is the end by our own side: Close, or the handler's return.
	ErrClosed = errors.New("wsroute: connection closed")
	// ErrPeerLost is a peer that went without a close frame: its TCP connection
	// ended, or nothing was heard for Config.PongTimeout.
	ErrPeerLost = errors.New("wsroute: peer lost")
	// ErrSlowReader is a peer that did not take what was sent to it in time.
	ErrSlowReader = errors.New("wsroute: the peer reads too slowly")
	// ErrStalled is a handler that took no message for Config.StallTimeout while
	// the read-ahead was full.
	ErrStalled = errors.New("wsroute: the handler stalled")
	// ErrExpired is the end of what the connection was authorised by: see
	// depends.ValidUntil.
	ErrExpired = errors.New("wsroute: the authorisation expired")
	// ErrDraining is the end of the router, by Drain.
	ErrDraining = errors.New("wsroute: draining")
	// ErrProtocol is a peer that broke RFC 6455, a limit or the encoding.
	ErrProtocol = errors.New("wsroute: protocol error")
)

// CloseError is the close frame of the peer: the error of Receive and the cause
// of the context when the peer ended the connection.
type CloseError struct {
	// Code is the peer's code, 1005 if its frame had none (RFC 6455 §7.1.5).
	Code int
	// Reason is the peer's reason, not to be trusted; up to 123 bytes of UTF-8.
	Reason string
}

// Error returns the code and the reason, quoted.
func (e *CloseError) Error() string {
	text := "wsroute: closed by the peer with " + strconv.Itoa(e.Code) // each connection's line of log has it
	if e.Reason == "" {
		return text
	}
	return text + " " + strconv.Quote(e.Reason)
}

// sendable says whether a code may stand in a close frame (RFC 6455 §7.4, and
// 1012 to 1014 of the IANA registry).
func sendable(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// cutReason makes a reason fit: valid UTF-8, cut between two runes.
func cutReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= maxReason {
		return reason
	}
	end := maxReason
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}
