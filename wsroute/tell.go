package wsroute

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/wsconn"
)

// toldLimit is the largest message that is read of a peer that was refused: what
// fits into one control frame.
const toldLimit = 125

// tell accepts a connection that is refused, and closes it with the refusal's
// code and reason. It returns when the closing handshake is over, which is
// bounded, and false if the connection could not be accepted.
func (e *endpoint) tell(w http.ResponseWriter, r *http.Request, asked *bind.Request, refusal *depends.Rejection) bool {
	if responded(w) {
		return false
	}
	settings := *e.settings
	settings.ReadLimit = toldLimit
	p := &peer{endpoint: e, conn: wsconn.New(context.Background(), &settings)}
	if e.shared.hub.enter(p, &e.shared.config, e.address(asked)) != nil {
		return false
	}
	defer e.shared.hub.leave(p)
	header := http.Header{}
	offers, marked := asked.Selectable()
	protocol := e.route.selectSubprotocol(offers, marked)
	if protocol == "" && len(offers) > 0 { // a page that offered any would see 1006 otherwise
		protocol = bind.Sayable(offers)
	}
	if protocol != "" {
		header["Sec-Websocket-Protocol"] = []string{protocol}
	}
	if g, ok := w.(gin.ResponseWriter); ok {
		g.WriteHeader(http.StatusSwitchingProtocols)
	}
	socket, hijacked, err := wsconn.Upgrade(w, r, header, false, settings.WriteTimeout)
	if err != nil {
		return hijacked
	}
	e.shared.hub.opened(p) // who is slow to leave is in no other's handshake's way
	code, reason := refusal.CodeAfterUpgrade(), refusal.Reason
	p.conn.End(refusal, code, reason, true)
	p.conn.Open(socket, wsconn.Hooks{})
	closed := make(chan struct{})
	p.conn.AfterClose(func() { close(closed) })
	<-closed
	return true
}
