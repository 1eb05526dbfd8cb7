package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// coderServer is the room on net/http and coder/websocket.
type coderServer struct {
	checks *checks
	logger *slog.Logger
	halls  halls
	crowd  crowd[*coderConn]
}

type coderConn struct {
	ws  *websocket.Conn
	ctx context.Context //nolint:containedctx // ends with the connection
}

func (c *coderConn) write(data []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, writeTimeout)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, data)
}

// tell implements member.
func (c *coderConn) tell(message []byte) {
	if c.write(message) != nil {
		_ = c.ws.CloseNow()
	}
}

// ping keeps the connection alive until it ends.
func (c *coderConn) ping() {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(c.ctx, pongTimeout-pingInterval)
			err := c.ws.Ping(ctx)
			cancel()
			if err != nil {
				_ = c.ws.CloseNow()
				return
			}
		}
	}
}

func serveCoder(ctx context.Context, listener net.Listener, id identity) error {
	logger := newLogger()
	s := &coderServer{checks: newChecks(id, logger), logger: logger}
	mux := http.NewServeMux()
	for route, inHall := range map[string]bool{roomPath: false, hallPath: true} {
		label := "GET " + route + "{room}"
		mux.HandleFunc(label, func(w http.ResponseWriter, r *http.Request) { s.handle(w, r, label, inHall) })
	}
	return serveByHand(ctx, listener, mux, logger, func(ctx context.Context) error {
		return s.crowd.drain(ctx, func(c *coderConn) { go c.ws.Close(websocket.StatusServiceRestart, "server_restart") })
	})
}

func (s *coderServer) handle(w http.ResponseWriter, r *http.Request, route string, inHall bool) {
	in, refused := s.checks.admit(r, r.PathValue("room"))
	if refused != nil {
		s.checks.refuse(w, r, route, refused)
		return
	}
	// admit has checked the origin.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // it has answered
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, since := &coderConn{ws, ctx}, time.Now()
	defer ws.CloseNow()
	if !s.crowd.enter(conn) {
		_ = ws.Close(websocket.StatusServiceRestart, "server_restart")
		return
	}
	defer s.crowd.leave(conn)
	ws.SetReadLimit(readLimit)
	go conn.ping()
	say := conn.write
	if inHall {
		h := s.halls.get(in.room)
		h.join(conn)
		defer h.leave(conn)
		say = func(reply []byte) error { h.tell(reply); return nil }
	}
	code, err := s.talk(conn, in.user, say)
	logEnd(s.logger, route, r.RemoteAddr, code, since, err)
}

func (s *coderServer) talk(conn *coderConn, user User, say func([]byte) error) (code int, err error) {
	for {
		kind, data, err := conn.ws.Read(conn.ctx)
		if err != nil {
			return int(websocket.CloseStatus(err)), err
		}
		if code = int(websocket.StatusUnsupportedData); kind == websocket.MessageText {
			var reply []byte
			if reply, code = s.checks.answer(data, user); code == 0 {
				if err := say(reply); err != nil {
					return int(websocket.StatusAbnormalClosure), err
				}
				continue
			}
		}
		return code, conn.ws.Close(websocket.StatusCode(code), "")
	}
}
