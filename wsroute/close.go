package wsroute

import (
	"errors"
	"strconv"

	"example.com/usher/internal/wsconn"
)

// Causes of the end of a connection, which context.Cause of its context tells.
var (
	// ErrClosed is the end by our own side: Close, or the handler's return.
	ErrClosed = errors.New("wsroute: connection closed")
	// ErrPeerLost is a peer that went without a close frame: its TCP connection
	// ended, or nothing was heard for Limits.PongTimeout.
	ErrPeerLost = errors.New("wsroute: peer lost")
	// ErrSlowReader is a peer that did not take what was sent to it in time.
	ErrSlowReader = errors.New("wsroute: the peer reads too slowly")
	// ErrStalled is a handler that took no message for Limits.StallTimeout while
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
	text := "wsroute: closed by the peer with " + strconv.Itoa(e.Code)
	if e.Reason == "" {
		return text
	}
	return text + " " + strconv.Quote(e.Reason)
}

// ends are the errors with which package wsconn ends a connection.
var ends = &wsconn.Errors{
	Lost: ErrPeerLost, SlowReader: ErrSlowReader, Stalled: ErrStalled,
	Expired: ErrExpired, Protocol: ErrProtocol,
	PeerClosed: func(code int, reason string) error { return &CloseError{Code: code, Reason: reason} },
}
