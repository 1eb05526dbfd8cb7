// Command tls serves TLS without a proxy: it listens with a certificate and gives the listener
// to usher.
//
//	go run ./examples/tls -cert cert.pem -key key.pem -origin https://chat.example
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

func hello(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{}) error {
	return conn.Send(ctx, "hello")
}

// newRouter refuses connections without TLS, in case the program is started without it.
func newRouter(origin string) *wsroute.Router {
	ws := wsroute.New(depends.New(), &wsroute.Config{Origins: []string{origin}, RequireTLS: true})
	wsroute.Handle(ws, "/hello", hello, wsroute.Public)
	return ws
}

// serve serves over TLS until ctx ends. Without NextProtos in the configuration clients
// speak HTTP/1.1, which is what a WebSocket begins with.
func serve(ctx context.Context, addr, origin string, certificate tls.Certificate, listening chan<- string) error {
	ws, engine := newRouter(origin), gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", addr, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	listening <- listener.Addr().String()
	return wsroute.ServeListener(ctx, listener, ws, engine)
}

func main() {
	addr := flag.String("addr", ":8443", "the address to listen on")
	origin := flag.String("origin", "https://localhost:8443", "the origin of the pages that may connect")
	certFile, keyFile := flag.String("cert", "cert.pem", "the certificate"), flag.String("key", "key.pem", "its key")
	flag.Parse()
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	certificate, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	if err == nil {
		err = serve(ctx, *addr, *origin, certificate, make(chan string, 1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
