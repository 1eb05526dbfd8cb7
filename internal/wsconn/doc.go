// Package wsconn is one WebSocket connection, from its handshake to its last byte: it
// reads, writes, queues, pings and closes. It knows no route, no dependency and no message
// type. gorilla reads the frames of the peer; ours are written here.
//
// # Phases
//
// A [Conn] is in one phase, which its lock guards:
//
//	opening ──Open──▶ open ──peer's close frame──▶ peerClosing
//	   │                │                              │
//	  End            any end           handler done, grace over, any end
//	   ▼                ▼                              ▼
//	closing ◀───────────┴──────────────────────────────┘
//	   │
//	   └──end of the reading goroutine──▶ closed
//
//	phase        context  Receive                   Send               socket
//	opening      alive    waits                     not to be called   none
//	open         alive    waits                     yes                read and written
//	peerClosing  alive    what is there, then the   the handler's own  written
//	                      end by the peer
//	closing      ended    what is there, unless we  the cause          our close frame goes
//	                      ended it; the cause                          out, or it is cut
//	closed       ended    the same                  the cause          closed
//
// # How a connection ends
//
// One method, close, is the only way into closing. It is called by:
//
//   - [Conn.End]: the program, its shutdown, a revocation, a handler that has returned;
//   - the clock: no answer to a ping, a handler that stalls, a message that does not end, an
//     expiry, a handler that has had CloseGrace since its last message;
//   - the reading goroutine: a read that failed, a peer that broke the protocol, one that
//     went while nothing was read;
//   - [Conn.Receive]: the handler has done with what came before the peer's close frame;
//   - [Conn.Send] and the queue: a write that failed, or a peer that reads too slowly.
//
// The first end wins. In peerClosing an end that discards (expiry, revocation, a slow
// reader, a lost peer) wins over the peer's; any other only hastens it. Whatever gorilla
// makes of what the peer sends, the end of the reading goroutine ends the connection: it
// waits for the queue to be written and for the peer's answer, together no longer than
// CloseTimeout and [CloseSlack], and closes the socket. An end with code 0, a lost peer's
// among them, closes it at once.
//
// # Locks
//
// There are two: Conn.mu guards the phase, the messages that were read ahead and the clock;
// wire.mu guards the queue of frames. Conn.mu comes first, and a lock of the program, such
// as a room's, before both. The goroutine that writes a backlog calls back without wire.mu.
// What no lock guards is set by New or Open and stays, or is the reading goroutine's own.
// A Send queues its frame under Conn.mu: the close frame stands behind it, or it fails.
//
// # Goroutines
//
// An idle connection has the reading goroutine, which ends after what AfterClose gave it,
// and one timer. A backlog has one more, which writes it. What a program is called back for
// runs on a goroutine of its own, but for [Hooks].Aside and AfterClose.
package wsconn
