// Package wsroute serves WebSocket routes whose handlers declare what they need.
//
// A handler takes a context, a connection and an input struct:
//
//	func join(ctx context.Context, conn *wsroute.Conn[Say, Said], in joinInput) error
//
// [Handle] registers it on a [Router], [Router.Mount] checks all routes and adds
// them to a gin engine, and [Serve] runs the server. Without gin, [Router.Handler]
// is a plain http.Handler.
//
// # The handshake
//
// Each step refuses before the next begins, so that a stranger learns nothing:
//
//  1. a well-formed handshake (RFC 6455 §4.2.1): else 400, 405 or 426;
//  2. an allowed Origin: else 403, and the log prints the line to add to
//     [Config].Origins;
//  3. a router that is not draining: else 503;
//  4. the dependencies, within Config.ResolveTimeout: 401 for a missing or bad
//     credential, 422 for bad parameters, what a provider's [depends.Rejection]
//     says, 500 for any other error or a panic, 503 when time is over;
//  5. a client that is still there;
//  6. the 101. Handshake values are released, and the handler runs.
//
// A refusal is a problem document (RFC 9457) with a "reason" for programs. Browsers
// hide it from pages; a route with [Diagnose] tells it to a plain GET.
//
// # The connection
//
// After the 101 the connection leaves net/http: middleware sees the request end, and
// an idle connection holds the handler's goroutine, one that reads, and a timer. The
// handler's context ends when the connection does, whether or not the handler
// reads (see [Handle]), and context.Cause says why: a [*CloseError] of the peer, [ErrPeerLost],
// [ErrExpired], [ErrRevoked], [ErrDraining] and so on. What the handler returns decides the
// close code:
//
//   - nil: 1000;
//   - a [*MessageError]: 1003, 1007 or 1008;
//   - a [*depends.Rejection]: its CloseCode, or the one for its Status;
//   - any other error, or a panic: 1011, with nothing told.
//
// Messages are read ahead up to Limits.ReadAhead; beyond that the peer is slowed
// down. [Conn.Send] queues and never lets one slow peer delay another.
//
// # Stopping
//
// When Serve's context ends, [Router.Drain] closes every connection with 1012 and
// waits for the handlers, then the server shuts down and the dependencies' App values
// are released.
package wsroute
