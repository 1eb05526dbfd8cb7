package parity_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// rejects provides an A that always refuses.
func rejects(w *world, r *depends.Rejection) {
	gives(w, func(none) (A, error) { return A{}, r })
}

type takesA struct{ A A }

// idle is a handler that waits for the end.
func idle[In any](ctx context.Context, c *conn, _ In) error {
	_, err := c.Receive(ctx)
	return err
}

// request sends raw bytes of a request and returns the status of the answer.
func request(w *world, method, header string) string {
	c, err := w.server().Connect(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, method+" /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+header+"\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.Fatal(err)
	}
	defer r.Body.Close()
	return fmt.Sprint(r.StatusCode)
}

var handshakes = []scenario{
	{
		id: "S01", app: `send "hi", close(4001, "bye")`, fastapi: `101 "hi" C(4001,"bye")`, verdict: matched,
		want: `101 "hi" C(4001,"bye")`,
		run: func(w *world) string {
			handle(w, "/ws", func(ctx context.Context, c *conn, _ none) error {
				if err := c.Send(ctx, "hi"); err != nil {
					return err
				}
				return c.Close(4001, "bye")
			})
			return w.wire("/ws")
		},
	},
	{
		id: "S02", app: `send "hi", return`, fastapi: `101 "hi" EOF`, verdict: beaten, want: `101 "hi" C(1000)`,
		run: func(w *world) string {
			shows(w, "/ws", func(none) string { return "hi" })
			return w.wire("/ws")
		},
	},
	{
		id: "S03", app: "the handler returns and never accepts", fastapi: "500t", verdict: meaningless,
		why: "the framework upgrades once everything is resolved, and no handler runs before that",
	},
	{
		id: "S04", app: `close(4001, "bye") before accept`, fastapi: "403∅, the code is lost", verdict: matched,
		why:  "and the code and the reason are in the body",
		want: `403 bye code 4001`,
		run: func(w *world) string {
			rejects(w, &depends.Rejection{Status: 403, CloseCode: 4001, Reason: "bye"})
			handle(w, "/ws", idle[takesA])
			_, r := w.dial(w.server(), "/ws")
			return fmt.Sprint(refused(r), " code ", r.Problem.Code)
		},
	},
	{
		id: "S05", app: "connect to an unknown path", fastapi: "403∅", verdict: beaten, want: "404",
		run: func(w *world) string {
			handle(w, "/ws", idle[none])
			return strings.TrimSuffix(w.wire("/other"), " not_found")
		},
	},
	{
		id: "S06", app: "the route is /ret; connect to /ret/", fastapi: "403∅", verdict: beaten,
		why:  "under Serve, wstest and net/http; gin.Engine.Run redirects unless RedirectTrailingSlash is off (gin.md)",
		want: "404, no redirect",
		run: func(w *world) string {
			handle(w, "/ret", idle[none])
			_, r := w.dial(w.server(), "/ret/")
			return fmt.Sprint(r.Status, map[bool]string{true: ", no redirect"}[r.Header.Get("Location") == ""])
		},
	},
	{
		id: "S07", app: "a plain GET of a WebSocket route", fastapi: "404", verdict: different,
		why: "the resource is there, and 426 says how to reach it (RFC 9110 §15.5.22)", want: "426 upgrade_required",
		run: func(w *world) string {
			handle(w, "/ws", idle[none])
			return refused(wstest.Get(w.T, w.server(), "/ws"))
		},
	},
	{
		id: "S09", app: "upgrade on a route that is HTTP alone", fastapi: "403∅", verdict: different,
		why:  "HTTP ignores an Upgrade that it does not take (RFC 9110 §7.8), and answers as ever",
		want: `200 page, no upgrade`,
		run: func(w *world) string {
			wsroute.HandleHTTP(w.ws, http.MethodGet, "/page", func(out http.ResponseWriter, _ *http.Request, _ none) error {
				_, err := io.WriteString(out, "page")
				return err
			})
			_, r := w.dial(w.server(), "/page")
			return fmt.Sprintf("%d %s, no upgrade", r.Status, strings.TrimSpace(string(r.Body)))
		},
	},
	{
		id: "S10", app: `the route speaks b; the client offers "a, b"`, fastapi: "101 with b", verdict: matched, want: "101 with b",
		run: func(w *world) string {
			handle(w, "/ws", idle[none], wsroute.Subprotocols("b"))
			return "101 with " + w.open("/ws", "Sec-WebSocket-Protocol: a, b").Subprotocol()
		},
	},
	{
		id: "S11", app: `the route speaks b; the client offers "z"`, fastapi: "101 with b, against the protocol", verdict: beaten,
		want: `101 with ""`,
		run: func(w *world) string {
			handle(w, "/ws", idle[none], wsroute.Subprotocols("b"))
			return fmt.Sprintf("101 with %q", w.open("/ws", "Sec-WebSocket-Protocol: z").response.Header.Get("Sec-Websocket-Protocol"))
		},
	},
	{
		id: "S13", app: "close with 1005, 1006, 1015, 999, 2999, 5000", fastapi: "101 EOF", verdict: beaten,
		want: "C(1011) / C(1011) / C(1011) / C(1011) / C(1011) / C(1011), each an error of Close",
		run: func(w *world) string {
			type in struct {
				Code int `query:"code"`
			}
			handle(w, "/ws", func(_ context.Context, c *conn, in in) error {
				if err := c.Close(in.Code, ""); err != nil {
					w.event("error")
				}
				return nil
			})
			var all []string
			for _, code := range []int{1005, 1006, 1015, 999, 2999, 5000} {
				all = append(all, w.open(fmt.Sprint("/ws?code=", code)).rest())
			}
			return join(all...) + map[bool]string{true: ", each an error of Close"}[strings.Count(w.told(), "error") == len(all)]
		},
	},
	{
		id: "S14", app: "close with 3000, 4999", fastapi: `C(3000,"r") / C(4999,"r")`, verdict: matched,
		want: `C(3000,"r") / C(4999,"r")`,
		run: func(w *world) string {
			handle(w, "/ws", func(_ context.Context, c *conn, in struct {
				Code int `query:"code"`
			},
			) error {
				return c.Close(in.Code, "r")
			})
			return join(w.open("/ws?code=3000").rest(), w.open("/ws?code=4999").rest())
		},
	},
	{
		id: "S16", app: "accept twice", fastapi: "101 EOF", verdict: meaningless,
		why: "there is no accept to call: the framework upgrades exactly once",
	},
	{
		id: "S17", app: "send or receive before accept", fastapi: "500t", verdict: meaningless,
		why: "a Conn exists only behind the upgrade",
	},
	{
		id: "S18", app: `a denial of 418 with X-H: v and "teapot"`, fastapi: "418, X-H: v, teapot", verdict: matched,
		want: "418, X-H: v, teapot", config: wsroute.Config{WriteRefusal: writesDetail},
		run: func(w *world) string {
			rejects(w, &depends.Rejection{Status: 418, Header: http.Header{"X-H": {"v"}}, Detail: "teapot"})
			handle(w, "/ws", idle[takesA])
			_, r := w.dial(w.server(), "/ws")
			return fmt.Sprintf("%d, X-H: %s, %s", r.Status, r.Header.Get("X-H"), r.Body)
		},
	},
	{
		id: "S19", app: "upgrade by POST; without a key; version 12", fastapi: "405 / 400 / 400", verdict: matched,
		why: "and the version is 426, as RFC 6455 §4.2.2 has it", want: "405 / 400 / 426",
		run: func(w *world) string {
			handle(w, "/ws", idle[none])
			key := "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			return join(request(w, "POST", key+"Sec-WebSocket-Version: 13\r\n"), request(w, "GET", "Sec-WebSocket-Version: 13\r\n"),
				request(w, "GET", key+"Sec-WebSocket-Version: 12\r\n"))
		},
	},
}
