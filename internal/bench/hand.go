package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
)

// handServer is the room on gin and gorilla/websocket, without usher. It is what
// usher is measured against, and so it is written with care: every connection has
// a reader, which is the request's goroutine, and a ticker for its pings; gorilla
// reuses the buffers of net/http; writing is under a mutex and a deadline.
type handServer struct {
	checks   *checks
	logger   *slog.Logger
	upgrader websocket.Upgrader
	halls    halls
	crowd    crowd[*handConn]
	timers   bool // for pings
}

// answering is what a message is answered, nil for nothing, or with which code it closes.
type answering func(data []byte, in entry) (reply []byte, code int)

// handConn may be written to by any goroutine.
type handConn struct {
	ws      *websocket.Conn
	writing sync.Mutex
	in      entry
	hall    *hall // nil but in a hall
	answer  answering
	route   string
	since   time.Time
	stop    chan struct{} // closed at the end
	timer   *time.Timer   // of the next ping, if that is done by timers
}

func (c *handConn) write(kind int, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return c.ws.WriteMessage(kind, data)
}

// tell implements member. A member who is slow delays the others, up to the
// deadline; then their reader ends them.
func (c *handConn) tell(message []byte) {
	if c.write(websocket.TextMessage, message) != nil {
		_ = c.ws.Close()
	}
}

func (c *handConn) control(kind int, data []byte) error {
	return c.ws.WriteControl(kind, data, time.Now().Add(writeTimeout))
}

// dismiss begins the closing handshake; the reader ends it.
func (c *handConn) dismiss(code int, reason string) {
	_ = c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason))
	_ = c.ws.SetReadDeadline(time.Now().Add(closeTimeout))
}

// say answers what the peer has said.
func (c *handConn) say(reply []byte) error {
	if c.hall != nil {
		c.hall.tell(reply)
		return nil
	}
	return c.write(websocket.TextMessage, reply)
}

// pings keep the connection alive until it ends, as gorilla's own examples do it.
func (c *handConn) pings() {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-ticker.C:
			if c.control(websocket.PingMessage, nil) != nil {
				_ = c.ws.Close()
				return
			}
		}
	}
}

// ping does so without a goroutine that waits.
func (c *handConn) ping() {
	if c.control(websocket.PingMessage, nil) != nil {
		_ = c.ws.Close()
		return
	}
	c.timer.Reset(pingInterval)
}

func serveHand(ctx context.Context, listener net.Listener, id identity) error {
	return serveGorilla(ctx, listener, id, false)
}

// serveLean pings by timers, which is leaner, and less usual.
func serveLean(ctx context.Context, listener net.Listener, id identity) error {
	return serveGorilla(ctx, listener, id, true)
}

func serveGorilla(ctx context.Context, listener net.Listener, id identity, timers bool) error {
	logger := newLogger()
	s := &handServer{
		timers:   timers,
		checks:   newChecks(id, logger),
		logger:   logger,
		upgrader: websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}, // admit has checked it
	}
	engine := newEngine()
	answer := func(data []byte, in entry) ([]byte, int) { return s.checks.answer(data, in.user) }
	for path, answer := range map[string]answering{roomPath: answer, hallPath: answer, channelPath: s.checks.dispatch} {
		path += ":room"
		engine.GET(path, func(c *gin.Context) { s.handle(c, "GET "+path, answer) })
	}
	return serveByHand(ctx, listener, engine, logger, func(ctx context.Context) error {
		return s.crowd.drain(ctx, func(c *handConn) { c.dismiss(websocket.CloseServiceRestart, "server_restart") })
	})
}

// handle is one request, and the connection's life. Its parts are functions of
// their own, and what they need is in the connection: all that is here stays on
// the stack of a connection that waits.
func (s *handServer) handle(c *gin.Context, route string, answer answering) {
	if conn := s.open(c, route, answer); conn != nil {
		s.live(conn)
	}
}

// open checks and upgrades, or refuses.
func (s *handServer) open(c *gin.Context, route string, answer answering) *handConn {
	in, refused := s.checks.admit(c.Request, c.Param("room"))
	if refused != nil {
		s.checks.refuse(c.Writer, c.Request, route, refused)
		return nil
	}
	ws, err := s.upgrader.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		return nil // gorilla has answered
	}
	ws.SetReadLimit(readLimit)
	_ = ws.SetReadDeadline(time.Now().Add(pongTimeout))
	ws.SetPongHandler(func(string) error { return ws.SetReadDeadline(time.Now().Add(pongTimeout)) })
	conn := &handConn{ws: ws, in: in, route: route, answer: answer, since: time.Now(), stop: make(chan struct{})}
	if route == "GET "+hallPath+":room" {
		conn.hall = s.halls.get(in.room)
	}
	return conn
}

func (s *handServer) live(conn *handConn) {
	defer s.part(conn)
	if !s.crowd.enter(conn) {
		conn.dismiss(websocket.CloseServiceRestart, "server_restart")
		return
	}
	if conn.hall != nil {
		conn.hall.join(conn)
	}
	if s.timers {
		conn.timer = time.AfterFunc(pingInterval, conn.ping)
	} else {
		go conn.pings()
	}
	code, err := s.talk(conn)
	logEnd(s.logger, conn.route, conn.ws.RemoteAddr().String(), code, conn.since, err)
}

// part undoes what live does.
func (s *handServer) part(conn *handConn) {
	close(conn.stop)
	if conn.timer != nil {
		conn.timer.Stop()
	}
	if conn.hall != nil {
		conn.hall.leave(conn)
	}
	s.crowd.leave(conn)
	_ = conn.ws.Close()
}

// talk answers messages until the connection ends, and sees the close through.
func (s *handServer) talk(conn *handConn) (code int, err error) {
	for {
		kind, data, err := conn.ws.ReadMessage()
		if err != nil {
			return conn.ended(err), err
		}
		if code = websocket.CloseUnsupportedData; kind == websocket.TextMessage {
			var reply []byte
			if reply, code = conn.answer(data, conn.in); code == 0 {
				if reply == nil {
					continue
				}
				if err := conn.say(reply); err != nil {
					return websocket.CloseAbnormalClosure, err
				}
				continue
			}
		}
		conn.dismiss(code, "")
		for { // until the peer has answered, or the time is over
			if _, _, err := conn.ws.NextReader(); err != nil {
				return code, err
			}
		}
	}
}

// ended says with which code a connection has ended whose reading failed. A
// socket that is closed with data in it takes our close frame with it, so what
// was too much is read and dropped.
func (c *handConn) ended(err error) (code int) {
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &closed):
		return closed.Code // gorilla has answered it
	case errors.Is(err, websocket.ErrReadLimit): // gorilla has sent 1009
		_ = c.ws.SetReadDeadline(time.Now().Add(closeTimeout))
		_, _ = io.Copy(io.Discard, c.ws.NetConn())
		return websocket.CloseMessageTooBig
	}
	return websocket.CloseAbnormalClosure
}
