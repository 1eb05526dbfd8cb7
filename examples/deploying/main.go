// Command deploying is a server behind a reverse proxy, or one with TLS of its own. It believes
// that proxy, and nobody else, about the client's address and TLS.
//
//	go run ./examples/deploying -trusted-proxies 127.0.0.1 -origins https://chat.example
//	go run ./examples/deploying -addr :8443 -origins https://chat.example -cert cert.pem -key key.pem
//
// nginx.conf beside this file configures the proxy. docs/deploying.md explains both, and the
// tests of the repository run them together, with Debian's nginx.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// settings differ between deployments.
type settings struct {
	proxies, origins  list
	certFile, keyFile string // without a proxy
}

// newConfig names the trusted proxies. Without them X-Forwarded-For does not count: anybody can
// send that header.
func (s settings) newConfig() *wsroute.Config {
	return &wsroute.Config{
		TrustedProxies: s.proxies,
		Origins:        s.origins, // of pages of other hosts
		RequireTLS:     true,      // a proxy says so in X-Forwarded-Proto
		MaxPerAddress:  20,        // of the client's address, not of the proxy's
	}
}

// address sends the client its address, and again for each message.
func address(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Client depends.ClientAddr }) error {
	for {
		if err := conn.Send(ctx, in.Client.String()); err != nil {
			return err
		}
		if _, err := conn.Receive(ctx); err != nil {
			return err
		}
	}
}

func newRouter(s settings) *wsroute.Router {
	ws := wsroute.New(depends.New(), s.newConfig())
	wsroute.Handle(ws, "/ws/address", address, wsroute.Public)
	return ws
}

// list is a flag that holds several values, with commas between them.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(text string) error {
	*l = strings.Split(text, ",")
	return nil
}

// listen returns a listener for plain HTTP, behind a proxy, or for TLS. Without NextProtos clients
// speak HTTP/1.1, which is what a WebSocket begins with.
func (s settings) listen(addr string) (listener net.Listener, scheme string, err error) {
	if s.certFile == "" {
		listener, err = net.Listen("tcp", addr)
		return listener, "http", err
	}
	certificate, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
	if err != nil {
		return nil, "", err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	listener, err = tls.Listen("tcp", addr, config)
	return listener, "https", err
}

// run serves until ctx ends, and prints its address to stdout.
func run(ctx context.Context, addr string, s settings, stdout io.Writer) error {
	ws, engine := newRouter(s), gin.New()
	if err := ws.Mount(engine); err != nil { // a bad address is a fault of the wiring
		return err
	}
	listener, scheme, err := s.listen(addr)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(stdout, scheme+"://"+listener.Addr().String())
	return wsroute.ServeListener(ctx, listener, ws, engine)
}

func main() {
	var s settings
	addr := flag.String("addr", "127.0.0.1:8080", "the address to listen on; behind a proxy, one that it alone reaches")
	flag.StringVar(&s.certFile, "cert", "", "the file of a certificate, for TLS without a proxy")
	flag.StringVar(&s.keyFile, "key", "", "the file of its key")
	flag.Var(&s.proxies, "trusted-proxies", "addresses or CIDR prefixes of the proxies, with commas between them")
	flag.Var(&s.origins, "origins", "the origins of the pages that may connect, with commas between them")
	flag.Parse()
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
