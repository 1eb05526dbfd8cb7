// Command chat is a chat in the browser: rooms, members, sign-in, history, and messages that
// their authors change. It needs nothing but Go:
//
//	go run ./examples/chat
//
// Then open the URL that it prints, in two windows, as alice (wonderland), bob (builder) or
// carol (teaparty), who may remove others from a room. The second line that it prints gets a
// token for curl and other programs. With -explain it prints what guards each WebSocket instead,
// and ends.
//
// CHAT_KEY is the key that signs the tokens, of at least 32 bytes. Without it a
// random one is used, and tokens end with the process.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// settings come from the command line and the environment.
type settings struct {
	addr string
	key  []byte
	ttl  time.Duration

	proxies, origins []string
	explain          bool
}

func main() {
	var s settings
	flag.StringVar(&s.addr, "addr", "127.0.0.1:8080", "the address to listen on")
	flag.DurationVar(&s.ttl, "token-ttl", 15*time.Minute, "how long a token lives")
	flag.Func("trusted-proxies", "addresses of reverse proxies, with commas between them", into(&s.proxies))
	flag.Func("origins", "origins of pages that may connect, if this server has a name; with commas between them", into(&s.origins))
	flag.BoolVar(&s.explain, "explain", false, "print what guards each WebSocket, and end")
	flag.Parse()
	if key, ok := os.LookupEnv("CHAT_KEY"); ok {
		s.key = []byte(key)
	} else {
		s.key = []byte(rand.Text() + rand.Text()) // 260 bits
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, s, logger, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
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

// run serves until ctx ends, and prints its address to stdout, and how to get a token.
func run(ctx context.Context, s settings, logger *slog.Logger, stdout io.Writer) error {
	ws, engine, err := newChat(s, logger)
	if err != nil {
		return err
	}
	if s.explain {
		return ws.Explain(stdout)
	}
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "%s\ncurl -d 'username=alice&password=wonderland' %[1]s/token\n", pageURL(listener.Addr()))
	return wsroute.ServeListener(ctx, listener, ws, engine)
}

// newChat puts the parts together: the dependencies, the routes, the page.
func newChat(s settings, logger *slog.Logger) (*wsroute.Router, *gin.Engine, error) {
	if err := s.check(); err != nil {
		return nil, nil, err
	}
	accounts, rooms, sessions := demoAccounts(), &Rooms{}, &Sessions{}
	deps := depends.New()
	depends.Supply(deps, accounts)
	depends.Supply(deps, rooms)
	depends.Supply(deps, sessions)
	depends.Provide(deps, currentUser, depends.Refuses(401, "unauthorized",
		"the token's account is gone, or has signed out everywhere"))
	depends.Provide(deps, currentRoom)
	depends.Provide(deps, ownMessage, depends.Message, noMessage,
		depends.Refuses(403, "not_yours", "somebody else said it"))
	tickets := &security.Tickets[Claims]{}
	security.Use(deps, credential(s.key, tickets))

	ws := wsroute.New(deps, &wsroute.Config{
		Logger:         logger,
		TrustedProxies: s.proxies,
		Origins:        s.origins,
		// Together they end every connection within 4 s, so that the process
		// stops in 5.
		Limits: wsroute.Limits{CloseTimeout: time.Second, WriteTimeout: 3 * time.Second},
	})
	talk(wsroute.HandleMessages(ws, "/ws/rooms/:room", events, wsroute.Diagnose, wsroute.Renewable,
		wsroute.Doc("A room: its members, its history, and what is said in it."),
		wsroute.Closes(codeKicked, "kicked", wsroute.ReconnectNever,
			"somebody who may has removed the user from the room")))

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gin.Recovery(), harden)
	issuer := tokenIssuer{accounts, sessions, s.key, s.ttl}
	engine.POST("/token", issuer.post)
	plain := guide{rooms, accounts, sessions, bearer(s.key)}
	plain.serve(engine)
	session{plain, issuer, sessions, ws.Revoke}.serve(engine)
	engine.POST("/ticket", gin.WrapH(tickets.Handler(plain.claims)))
	if err := servePage(engine); err != nil {
		return nil, nil, err
	}
	if err := ws.Mount(engine); err != nil {
		return nil, nil, err
	}
	return ws, engine, serveContract(ws, engine)
}

func (s settings) check() error {
	if s.ttl < time.Second {
		return fmt.Errorf("-token-ttl is %v: a token must live for a second or longer", s.ttl)
	}
	return checkKey(s.key)
}

// pageURL is where a browser on this machine finds a server that listens on addr.
func pageURL(addr net.Addr) string {
	if ap, err := netip.ParseAddrPort(addr.String()); err == nil && ap.Addr().IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d", ap.Port())
	}
	return "http://" + addr.String()
}
