package parity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

type takesB struct {
	A A
	B B
}

// echoes is S21's program: A, then B, and an echo that tells how it ended.
func echoes(w *world) {
	yields[A, none](w, "A")
	yields[B, struct{ _ A }](w, "B")
	handle(w, "/ws", func(ctx context.Context, c *conn, in takesB) error {
		w.event("h")
		err := echo(ctx, c, in)
		w.event("end%s", cause(err))
		return err
	})
}

type payload struct {
	E string `json:"e"`
	N []int  `json:"n"`
}

// takesJSON receives a payload and returns what went wrong.
func takesJSON(w *world) {
	wsroute.Handle(w.ws, "/ws", func(ctx context.Context, c *wsroute.Conn[payload, payload], _ none) error {
		_, err := c.Receive(ctx)
		return err
	}, wsroute.Public)
}

// waiting works for a second without reading, unless its connection ends.
func waiting(w *world) {
	yields[G, none](w, "G")
	handle(w, "/ws", func(ctx context.Context, c *conn, _ struct{ G G }) error {
		start := time.Now()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		w.event("h after %v%s send%s", time.Since(start).Round(100*time.Millisecond), cause(context.Cause(ctx)), cause(c.Send(ctx, "late")))
		return nil
	})
}

var messages = []scenario{
	{
		id: "S21", app: `A, B, an echo; the client says "x", then close(1000, "done")`,
		fastapi: `"got x" C(1000,"done"); +A +B h disc(1000,"done") !B -B !A -A; a traceback in the log`, verdict: matched,
		why:  "without an error in the log",
		want: `"got x" C(1000); +A +B h end(1000,"done") -B(1000,"done") -A(1000,"done"); no error in the log`,
		run: func(w *world) string {
			echoes(w)
			c := w.open("/ws").say("x")
			out := fmt.Sprintf("%q %s", c.hear(), c.leave(1000, "done").rest())
			return out + "; " + w.told() + map[bool]string{false: "; no error in the log"}[w.log.has("level=ERROR")]
		},
	},
	{
		id: "S22", app: `the client closes with 4000, "zz"`, fastapi: `the handler sees (4000,"zz"); echoed`, verdict: matched,
		want: `C(4000); +A +B h end(4000,"zz") -B(4000,"zz") -A(4000,"zz")`,
		run: func(w *world) string {
			echoes(w)
			return w.open("/ws").leave(4000, "zz").rest() + "; " + w.told()
		},
	},
	{
		id: "S23", app: "the client closes without a code", fastapi: "the handler sees 1005; an empty close is echoed", verdict: matched,
		want: "C(1005); +A +B h end(1005) -B(1005) -A(1005)",
		run: func(w *world) string {
			echoes(w)
			return w.open("/ws").leave(0, "").rest() + "; " + w.told()
		},
	},
	{
		id: "S24", app: "the client drops TCP", fastapi: "the handler sees 1005 (legacy: 1006)", verdict: matched,
		why:  "as a cause of its own, ErrPeerLost; the log says 1006",
		want: "+A +B h end(lost) -B(lost) -A(lost); 1006 in the log",
		run: func(w *world) string {
			echoes(w)
			_ = w.open("/ws").NetConn().Close()
			return w.told() + map[bool]string{true: "; 1006 in the log"}[w.log.has("code=1006")]
		},
	},
	{
		id: "S25", app: "a binary frame where text is received", fastapi: "KeyError, 101 EOF", verdict: beaten,
		want: `C(1003,"binary_not_accepted")`,
		run: func(w *world) string {
			handle(w, "/ws", idle[none])
			c := w.open("/ws")
			_ = c.WriteMessage(websocket.BinaryMessage, []byte{1})
			return c.rest()
		},
	},
	{
		id: "S26", app: `the client sends "{bad" where JSON is received`, fastapi: "JSONDecodeError, 101 EOF", verdict: beaten,
		why: "or the handler answers and goes on: the error is a *MessageError", want: `C(1007,"invalid_json")`,
		run: func(w *world) string {
			takesJSON(w)
			return w.open("/ws").say("{bad").rest()
		},
	},
	{
		id: "S27", app: `send_json({"e": "é", "n": [1, 2]})`, fastapi: `{"e":"é","n":[1,2]}`, verdict: matched,
		want: `{"e":"é","n":[1,2]}`,
		run: func(w *world) string {
			wsroute.Handle(w.ws, "/ws", func(ctx context.Context, c *wsroute.Conn[payload, payload], _ none) error {
				return c.Send(ctx, payload{"é", []int{1, 2}})
			}, wsroute.Public)
			text := w.open("/ws").hear()
			if !json.Valid([]byte(text)) {
				w.Error("no JSON")
			}
			return text
		},
	},
	{
		id: "S28", app: `echo; the client says "a", close(1000); the handler closes again`,
		fastapi: `"a"; the later close is no error on the wire`, verdict: matched, want: `"a" C(1000); Close returned <nil>`,
		run: func(w *world) string {
			handle(w, "/ws", func(ctx context.Context, c *conn, _ none) error {
				for {
					text, err := c.Receive(ctx)
					if err != nil {
						w.event("Close returned %v", c.Close(1000, ""))
						return nil
					}
					_ = c.Send(ctx, text)
				}
			})
			c := w.open("/ws").say("a")
			return fmt.Sprintf("%q %s; %s", c.hear(), c.leave(1000, "").rest(), w.told())
		},
	},
	{
		id: "S30", app: "the handler works and then sends; the client drops at once", fastapi: "the handler runs to its end, and its send succeeds",
		verdict: beaten, want: "+G h after 0s(lost) send(lost) -G(lost)",
		run: func(w *world) string {
			waiting(w)
			_ = w.open("/ws").NetConn().Close()
			return w.told()
		},
	},
	{
		id: "S31", app: `WebSocketEndpoint of JSON; the client sends "{bad"`, fastapi: "C(1003)", verdict: different,
		why: "a client that gets 1003 cannot tell a binary frame from bad JSON: RFC 6455 §7.4.1 has 1003 for a type of data that is not taken, and text is taken; 1007 is for data within a message that does not fit it. The error of Receive lets the handler close with 1003 all the same", want: `C(1007,"invalid_json")`,
		run: func(w *world) string {
			takesJSON(w)
			return w.open("/ws").say("{bad").rest()
		},
	},
	{
		id: "S32", app: "a frame of 17 MiB; bad UTF-8; an unmasked frame; opcode 3", fastapi: "C(1009) / C(1007) / C(1002) / C(1002)", verdict: matched,
		want: "C(1009) / C(1007) / C(1002) / C(1002)",
		run: func(w *world) string {
			handle(w, "/ws", echo[none])
			mask := []byte{0, 0, 0, 0}
			var all []string
			for _, frame := range [][]byte{
				append([]byte{0x82, 0xff, 0, 0, 0, 0, 1, 0x10, 0, 0}, mask...), append(append([]byte{0x81, 0x81}, mask...), 0xff),
				{0x81, 1, 'a'},
				append([]byte{0x83, 0x80}, mask...),
			} {
				code, _, _ := strings.Cut(w.open("/ws").raw(frame...).rest(), ",")
				all = append(all, strings.TrimSuffix(code, ")")+")")
			}
			return join(all...)
		},
	},
	{
		id: "S34", app: "the server stops while the handler receives", fastapi: "C(1012), disc(1012), -G", verdict: matched,
		want: `C(1012,"server_restart"); +A +B h end(draining) -B(draining) -A(draining)`,
		run: func(w *world) string {
			echoes(w)
			c := w.open("/ws")
			synctest.Wait()
			go w.server().Stop()
			return c.rest() + "; " + w.told()
		},
	},
	{
		id: "S35", app: "the server stops while the handler works for 1 s", fastapi: "C(1012) at once; the handler wakes after 1 s, then -G", verdict: beaten,
		want: `C(1012,"server_restart"); +G h after 0s(draining) send(draining) -G(draining)`,
		run: func(w *world) string {
			waiting(w)
			c := w.open("/ws")
			synctest.Wait()
			go w.server().Stop()
			return c.rest() + "; " + w.told()
		},
	},
	{
		id: "S36", app: "the client leaves before the accept", fastapi: "RuntimeError on accept", verdict: beaten,
		want: "+A B ends after 0s -A(the client left before the answer), no error in the log",
		run: func(w *world) string {
			yields[A, none](w, "A")
			depends.Provide(w.deps, func(ctx context.Context, _ struct{ _ A }) (B, error) {
				start := time.Now()
				<-ctx.Done()
				w.event("B ends after %v", time.Since(start))
				return B{}, errors.New("cancelled")
			})
			handle(w, "/ws", idle[takesB])
			c, err := w.server().Connect(w.Context())
			if err != nil {
				w.Fatal(err)
			}
			_, _ = fmt.Fprint(c, "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
			synctest.Wait()
			_ = c.Close()
			return w.told() + map[bool]string{false: ", no error in the log"}[w.log.has("level=ERROR")]
		},
	},
}
