// Command cluster is a chat that runs in as many processes as you start: any of them takes any
// client, and a room has members in all. From this folder,
//
//	CLUSTER_KEY=$(openssl rand -base64 32) go run .
//
// runs one, with a NATS server in it on 127.0.0.1:4222. With the same key,
//
//	go run . -addr 127.0.0.1:8082 -nats nats://127.0.0.1:4222
//
// is another one. Open the URL that each prints, as alice (wonderland), bob (builder) or carol
// (teaparty), who may remove others. With -redis redis://127.0.0.1:6379 Redis takes the place of
// NATS. nginx.conf and compose.yaml are what stands around it in earnest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// settings come from the command line and the environment.
type settings struct {
	addr, nats, redis string
	embed             string // where a NATS server listens, if there is none
	key               []byte
	proxies, origins  []string
}

func main() {
	s := settings{key: []byte(os.Getenv("CLUSTER_KEY"))}
	flag.StringVar(&s.addr, "addr", "127.0.0.1:8081", "the address to listen on")
	flag.StringVar(&s.nats, "nats", "", "the URL of a NATS server; without it, one runs in this process")
	flag.StringVar(&s.embed, "embed", "127.0.0.1:4222", "where that one listens")
	flag.StringVar(&s.redis, "redis", "", "the URL of a Redis, in place of NATS")
	flag.Func("trusted-proxies", "addresses of reverse proxies, with commas between them", into(&s.proxies))
	flag.Func("origins", "origins of pages that may connect, with commas between them", into(&s.origins))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	if err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// into splits the value of a flag at its commas.
func into(list *[]string) func(string) error {
	return func(text string) error {
		*list = strings.Split(text, ",")
		return nil
	}
}

// run serves until ctx ends, and prints its address to stdout.
func run(ctx context.Context, s settings, stdout io.Writer) error {
	const least = 32 // of HS256, RFC 7518 §3.2
	if len(s.key) < least {
		return errors.New("CLUSTER_KEY must have 32 bytes or more, the same in all processes: " +
			"one takes the tokens of another. Make one with: openssl rand -base64 32")
	}
	common, err := connect(ctx, s)
	if err != nil {
		return err
	}
	defer common.close()
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ws, engine, err := newProcess(s, common, listener.Addr().String(), logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	_, _ = fmt.Fprintf(stdout, "http://%s\n", listener.Addr())
	return wsroute.ServeListener(ctx, listener, ws, engine)
}

// newProcess returns what one process serves. name is how it calls itself.
func newProcess(
	s settings, common backbone, name string, logger *slog.Logger,
) (*wsroute.Router, *gin.Engine, error) {
	deps := depends.New()
	scheme := bearer(s.key)
	security.Use(deps, scheme)
	ws := wsroute.New(deps, &wsroute.Config{
		Name: program, Broker: common.broker, RequireBroker: true,
		RevocationLog: common.revocations,
		Logger:        logger, TrustedProxies: s.proxies, Origins: s.origins,
	})
	rooms := wsroute.NewRooms[Event, Member](ws, "rooms", events)
	rooms.OnChange(func(room string, present []Member) {
		_ = rooms.SendLocal(room, Members{names(present)}, nil) // it has a JSON form
	})
	depends.Supply(deps, rooms)
	depends.Supply(deps, Process(name))
	// AcceptThenClose lets the page see that its token is no good, in place of a 1006.
	chat(wsroute.HandleMessages(ws, "/ws/rooms/:room", events, wsroute.AcceptThenClose,
		wsroute.Closes(codeKicked, "kicked", wsroute.ReconnectNever, "somebody who may has removed the user")))

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gin.Recovery())
	engine.POST("/token", tokenIssuer(s.key))
	engine.POST("/signout", signOut(ws, scheme))
	engine.GET("/readyz", func(c *gin.Context) { // for the load balancer
		if ws.Ready() {
			c.Status(204)
		} else {
			c.Status(503)
		}
	})
	servePage(engine)
	return ws, engine, ws.Mount(engine)
}
