package wsroute

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/wsconn"
)

// refusedReadLimit bounds the messages of a peer that was refused: what fits into one control
// frame.
const refusedReadLimit = 125

// acceptThenClose accepts a connection that is refused, and closes it with the refusal's code
// and reason. It returns after the closing handshake, which is bounded, and false if the
// connection could not be accepted.
func (e *endpoint) acceptThenClose(
	w http.ResponseWriter, r *http.Request, asked *bind.Request, refusal *depends.Rejection,
) bool {
	if responded(w) != nil {
		return false
	}
	settings := *e.settings
	settings.ReadLimit = refusedReadLimit
	settings.CloseTimeout = min(settings.CloseTimeout, time.Second)
	p := &peer{
		endpoint: e, conn: wsconn.New(context.Background(), &settings), counted: counted{refused: true},
	}
	if e.shared.hub.enter(p, asked.ClientAddr()) != nil {
		return false
	}
	defer e.shared.hub.leave(p)
	protocol := e.route.selectSubprotocol(asked.Selectable())
	socket, hijacked, err := e.accept(w, r, http.Header{}, protocol, false)
	if err != nil {
		return hijacked
	}
	p.conn.End(refusal, refusal.CodeAfterUpgrade(), refusal.Reason, true)
	p.conn.Open(socket, wsconn.Hooks{})
	closed := make(chan struct{})
	p.conn.AfterClose(func() { close(closed) })
	<-closed
	return true
}

// accept takes the connection over and writes the 101.
func (e *endpoint) accept(
	w http.ResponseWriter, r *http.Request, header http.Header, protocol string, compress bool,
) (socket *wsconn.Socket, hijacked bool, err error) {
	if protocol != "" {
		header["Sec-Websocket-Protocol"] = []string{protocol}
	}
	if g, ok := w.(gin.ResponseWriter); ok {
		g.WriteHeader(http.StatusSwitchingProtocols) // writes nothing: it is what gin's logger prints
	}
	return wsconn.Upgrade(w, r, header, compress, e.settings.WriteTimeout)
}
