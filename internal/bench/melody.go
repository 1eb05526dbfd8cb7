package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
	"github.com/olahol/melody"
)

// melodyServer is the room on gin and melody, with the checks in a middleware, as
// melody has nothing to say of them.
type melodyServer struct {
	checks *checks
	logger *slog.Logger
	halls  halls
	crowd  crowd[*melodyConn]
	melody *melody.Melody
}

// melodyConn is what the keys of a session hold.
type melodyConn struct {
	session       *melody.Session
	in            entry
	hall          *hall
	route, remote string
	since         time.Time
	code          int // with which it ended
	err           error
}

const melodyKey = "conn"

func melodyOf(session *melody.Session) *melodyConn { return session.MustGet(melodyKey).(*melodyConn) }

// tell implements member. melody drops what its queue does not take.
func (c *melodyConn) tell(message []byte) { _ = c.session.Write(message) }

// dismiss is for the reading goroutine.
func (c *melodyConn) dismiss(code int) {
	c.code = code
	_ = c.session.CloseWithMsg(melody.FormatCloseMessage(code, ""))
}

func serveMelody(ctx context.Context, listener net.Listener, id identity) error {
	logger := newLogger()
	s := &melodyServer{checks: newChecks(id, logger), logger: logger, melody: melody.New()}
	s.melody.Config.WriteWait = writeTimeout
	s.melody.Config.PongWait = pongTimeout
	s.melody.Config.PingPeriod = pingInterval
	s.melody.Config.MaxMessageSize = readLimit
	s.melody.Upgrader = &websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }} // guard has checked it
	s.melody.HandleConnect(s.connected)
	s.melody.HandleMessage(s.said)
	s.melody.HandleMessageBinary(func(session *melody.Session, _ []byte) {
		melodyOf(session).dismiss(melody.CloseUnsupportedData)
	})
	s.melody.HandleError(failed)
	s.melody.HandleDisconnect(s.gone)
	engine := newEngine()
	engine.GET(roomPath+":room", s.guard("GET "+roomPath+":room", false), s.upgrade)
	engine.GET(hallPath+":room", s.guard("GET "+hallPath+":room", true), s.upgrade)
	return serveByHand(ctx, listener, engine, logger, func(ctx context.Context) error {
		return s.crowd.drain(ctx, func(c *melodyConn) {
			_ = c.session.CloseWithMsg(melody.FormatCloseMessage(melody.CloseServiceRestart, "server_restart"))
		})
	})
}

// guard is the middleware.
func (s *melodyServer) guard(route string, inHall bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		in, refused := s.checks.admit(c.Request, c.Param("room"))
		if refused != nil {
			c.Abort()
			s.checks.refuse(c.Writer, c.Request, route, refused)
			return
		}
		conn := &melodyConn{in: in, route: route, remote: c.Request.RemoteAddr, since: time.Now()}
		if inHall {
			conn.hall = s.halls.get(in.room)
		}
		c.Set(melodyKey, conn)
	}
}

func (s *melodyServer) upgrade(c *gin.Context) {
	_ = s.melody.HandleRequestWithKeys(c.Writer, c.Request, map[string]any{melodyKey: c.MustGet(melodyKey)})
}

func (s *melodyServer) connected(session *melody.Session) {
	conn := melodyOf(session)
	conn.session = session
	if !s.crowd.enter(conn) {
		_ = session.CloseWithMsg(melody.FormatCloseMessage(melody.CloseServiceRestart, "server_restart"))
		return
	}
	if conn.hall != nil {
		conn.hall.join(conn)
	}
}

func (s *melodyServer) said(session *melody.Session, data []byte) {
	conn := melodyOf(session)
	reply, code := s.checks.answer(data, conn.in.user)
	switch {
	case code != 0:
		conn.dismiss(code)
	case conn.hall != nil:
		conn.hall.tell(reply)
	default:
		conn.tell(reply)
	}
}

// failed is told why reading ended. Its close handler is no place for that, as it would
// have to answer the peer, and melody shows it no way to.
func failed(session *melody.Session, err error) {
	conn := melodyOf(session)
	conn.err = cmp.Or(conn.err, err)
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		conn.code = closed.Code
	}
}

func (s *melodyServer) gone(session *melody.Session) {
	conn := melodyOf(session)
	if conn.hall != nil {
		conn.hall.leave(conn)
	}
	s.crowd.leave(conn)
	logEnd(s.logger, conn.route, conn.remote, cmp.Or(conn.code, websocket.CloseAbnormalClosure), conn.since, conn.err)
}
