package main

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

// gwsServer is the room on net/http and gws, which calls back on a goroutine for
// each connection. The request's goroutine returns.
type gwsServer struct {
	gws.BuiltinEventHandler
	checks *checks
	logger *slog.Logger
	halls  halls
	crowd  crowd[*gwsConn]
}

// gwsConn is what the session of a connection holds.
type gwsConn struct {
	ws            *gws.Conn
	in            entry
	hall          *hall
	route, remote string
	since         time.Time
	timer         *time.Timer
	code          int // with which this side has begun to close
}

const gwsKey = "conn"

func gwsOf(socket *gws.Conn) *gwsConn {
	v, _ := socket.Session().Load(gwsKey)
	return v.(*gwsConn)
}

// inTime gives the next write its time. A deadline stays until the next one is set, and
// what is written behind it fails.
func (c *gwsConn) inTime() *gws.Conn {
	_ = c.ws.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.ws
}

// tell implements member.
func (c *gwsConn) tell(message []byte) {
	_ = c.inTime().WriteMessage(gws.OpcodeText, message) // a failure closes the connection
}

func (c *gwsConn) ping() {
	if c.inTime().WritePing(nil) == nil {
		c.timer.Reset(pingInterval)
	}
}

func (c *gwsConn) dismiss(code int, reason string) {
	_ = c.inTime().WriteClose(uint16(code), []byte(reason))
}

func serveGWS(ctx context.Context, listener net.Listener, id identity) error {
	logger := newLogger()
	s := &gwsServer{checks: newChecks(id, logger), logger: logger}
	upgrader := gws.NewUpgrader(s, &gws.ServerOption{ReadMaxPayloadSize: readLimit})
	mux := http.NewServeMux()
	for route, inHall := range map[string]bool{roomPath: false, hallPath: true} {
		label := "GET " + route + "{room}"
		mux.HandleFunc(label, func(w http.ResponseWriter, r *http.Request) { s.handle(w, r, upgrader, label, inHall) })
	}
	return serveByHand(ctx, listener, mux, logger, func(ctx context.Context) error {
		return s.crowd.drain(ctx, func(c *gwsConn) { c.dismiss(1012, "server_restart") })
	})
}

func (s *gwsServer) handle(w http.ResponseWriter, r *http.Request, upgrader *gws.Upgrader, route string, inHall bool) {
	in, refused := s.checks.admit(r, r.PathValue("room"))
	if refused != nil {
		s.checks.refuse(w, r, route, refused)
		return
	}
	ws, err := upgrader.Upgrade(w, r)
	if err != nil {
		return // it has answered
	}
	conn := &gwsConn{ws: ws, in: in, route: route, remote: r.RemoteAddr, since: time.Now()}
	ws.Session().Store(gwsKey, conn)
	if !s.crowd.enter(conn) {
		conn.dismiss(1012, "server_restart")
		return
	}
	if inHall {
		conn.hall = s.halls.get(in.room)
		conn.hall.join(conn)
	}
	_ = ws.SetReadDeadline(time.Now().Add(pongTimeout))
	conn.timer = time.AfterFunc(pingInterval, conn.ping)
	go ws.ReadLoop()
}

// OnPong implements gws.Event.
func (s *gwsServer) OnPong(socket *gws.Conn, _ []byte) {
	_ = socket.SetReadDeadline(time.Now().Add(pongTimeout))
}

// OnPing implements gws.Event.
func (s *gwsServer) OnPing(socket *gws.Conn, payload []byte) {
	_ = gwsOf(socket).inTime().WritePong(payload)
}

// OnMessage implements gws.Event.
func (s *gwsServer) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	conn, code := gwsOf(socket), 1003
	if message.Opcode == gws.OpcodeText {
		var reply []byte
		if reply, code = s.checks.answer(message.Bytes(), conn.in.user); code == 0 {
			if conn.hall != nil {
				conn.hall.tell(reply)
			} else {
				conn.tell(reply)
			}
			return
		}
	}
	conn.code = code
	conn.dismiss(code, "")
}

// OnClose implements gws.Event.
func (s *gwsServer) OnClose(socket *gws.Conn, err error) {
	conn := gwsOf(socket)
	conn.timer.Stop()
	if conn.hall != nil {
		conn.hall.leave(conn)
	}
	s.crowd.leave(conn)
	code := cmp.Or(conn.code, 1006)
	if closed, ok := err.(*gws.CloseError); ok {
		code = int(closed.Code)
	}
	logEnd(s.logger, conn.route, conn.remote, code, conn.since, err)
}
