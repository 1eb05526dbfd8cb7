// Command behind-nginx is a server that only a reverse proxy talks to: it believes that
// proxy, and nobody else, about who the client is and whether TLS was used.
//
//	go run ./examples/behind-nginx -trusted-proxies 127.0.0.1 -origins https://chat.example
//
// nginx.conf beside this file is the proxy's half. docs/deploying.md explains both, and
// the tests of the repository run that file with Debian's nginx.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// settings are what differs from one deployment to the next.
type settings struct {
	proxies, origins []string
}

// newConfig says whom to believe. Without proxies nobody is believed: X-Forwarded-For
// is a header, and anybody can send one.
func (s settings) newConfig() *wsroute.Config {
	return &wsroute.Config{
		TrustedProxies: s.proxies,
		Origins:        s.origins, // behind a proxy, the page's host is no name of this machine
		RequireTLS:     true,      // the proxy says so in X-Forwarded-Proto
		MaxPerAddress:  20,        // of the client's address, not of the proxy's
	}
}

// address tells each client how it is known here.
func address(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Client depends.ClientAddr }) error {
	return conn.Send(ctx, in.Client.String())
}

func newRouter(s settings) *wsroute.Router {
	ws := wsroute.New(depends.New(), s.newConfig())
	wsroute.Handle(ws, "/ws/address", address)
	return ws
}

// list is a flag that holds several values, with commas between them.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(text string) error {
	*l = strings.Split(text, ",")
	return nil
}

func main() {
	var proxies, origins list
	flag.Var(&proxies, "trusted-proxies", "addresses or CIDR prefixes of the proxies, with commas between them")
	flag.Var(&origins, "origins", "the origins of the pages that may connect, with commas between them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	ws, engine := newRouter(settings{proxies, origins}), gin.New()
	err := ws.Mount(engine) // an address that is none is a fault of the wiring
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
