package processes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wsnats"
	"example.com/usher/wsroute/wsredis"
)

// serveNATS is a NATS server in a process of its own.
func serveNATS() error {
	host, text, err := net.SplitHostPort(os.Getenv("AT"))
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	options := &natsserver.Options{
		Host: host, Port: port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: os.Getenv("DIR"), SyncAlways: true,
	}
	if limit := os.Getenv("MAX_PAYLOAD"); limit != "" {
		most, err := strconv.Atoi(limit)
		if err != nil {
			return err
		}
		options.MaxPayload = int32(most) //nolint:gosec // the test says 65536
	}
	if name := os.Getenv("CLUSTER"); name != "" { // of two servers, without JetStream, which wants three
		options.JetStream = false
		options.ServerName = name
		options.Cluster = natsserver.ClusterOpts{Name: "faults", Host: host, NoAdvertise: true, PoolSize: -1}
		if _, text, err = net.SplitHostPort(os.Getenv("ROUTES_AT")); err != nil {
			return err
		}
		if options.Cluster.Port, err = strconv.Atoi(text); err != nil {
			return err
		}
		options.Routes = natsserver.RoutesFromStr(os.Getenv("ROUTES"))
	}
	s, err := natsserver.NewServer(options)
	if err != nil {
		return err
	}
	s.Start()
	select {}
}

// event is what the program sends.
type event interface{ event() }

type (
	said struct {
		From string `json:"from"`
		N    int    `json:"n"`
		Text string `json:"text,omitempty"`
	}
	done struct{}
)

func (said) event() {}
func (done) event() {}

var events = wsroute.Union[event]{"said": said{}, "done": done{}}

// who is the peer, as the query says.
type who struct{ sub string }

type input struct {
	Who  who
	Room string `query:"room"`
	Conn wsroute.Sender[event]
}

// program is one process.
type program struct {
	ws    *wsroute.Router
	rooms *wsroute.Rooms[event, string]

	banned sync.Map // by subject: what the store of a real program knows

	mu   sync.Mutex
	gaps []string // when, and of what topic
}

// serve is one process of the program, with what the test asks of it beside its socket.
func serve() error {
	p := &program{}
	config := &wsroute.Config{
		Name: "faults", RequireBroker: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Limits:      wsroute.Limits{SendMessages: 10_000, ReadAhead: 64},
		DrainWindow: time.Second,
		Trace:       []*wsroute.Trace{{Broker: p.broker}},
	}
	switch at := os.Getenv("AT"); os.Getenv("KIND") {
	case "nats":
		conn, err := nats.Connect("nats://"+at, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
		if err != nil {
			return err
		}
		config.Broker = wsnats.New(conn)
		if os.Getenv("LOG") != "none" {
			if config.RevocationLog, err = wsnats.NewLog(context.Background(), conn, "faults"); err != nil {
				return err
			}
		}
	case "redis":
		client := redis.NewClient(&redis.Options{Addr: at, MaxRetries: -1, DialerRetries: 1})
		config.Broker, config.RevocationLog = wsredis.New(client), wsredis.NewLog(client, "faults")
	case "none":
		config.RequireBroker = false
	default:
		return fmt.Errorf("no KIND %q", os.Getenv("KIND"))
	}
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		Sub string `query:"sub"`
	},
	) (who, error) {
		depends.Identify(ctx, depends.Identity{Subject: in.Sub})
		if _, banned := p.banned.Load(in.Sub); banned {
			return who{}, depends.Unauthorized("Bearer", errors.New("banned"))
		}
		return who{in.Sub}, nil
	}, depends.Revalidate(time.Hour))
	p.ws = wsroute.New(deps, config)
	p.rooms = wsroute.NewRooms[event, string](p.ws, "rooms", events)
	c := wsroute.HandleMessages(p.ws, "/ws", events, wsroute.Require[who]())
	wsroute.OnOpen(c, func(_ context.Context, in input) error { return p.rooms.Join(in.Conn, in.Room, in.Who.sub) })
	wsroute.Answer(c, "say", func(ctx context.Context, m said, in input) (done, error) {
		return done{}, p.rooms.SendOthers(ctx, in.Conn, in.Room, m)
	})
	handler, err := p.ws.Handler()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", handler)
	for path, answer := range map[string]func(*http.Request) (string, error){
		"/present": p.present, "/revoke": p.revoke, "/gaps": p.gapsSince, "/goroutines": goroutines, "/burst": p.burst, "/ban": p.ban,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			text, err := answer(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			_, _ = io.WriteString(w, text)
		})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return wsroute.ServeListener(ctx, listener, p.ws, mux)
}

// broker notes when something may be missing.
func (p *program) broker(_ context.Context, b wsroute.BrokerInfo) {
	if b.Event != "gap" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaps = append(p.gaps, fmt.Sprintf("%d %s %s", time.Now().UnixNano(), b.Topic, b.Text))
}

func (p *program) gapsSince(*http.Request) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.gaps, "\n"), nil
}

func (p *program) present(r *http.Request) (string, error) {
	present := p.rooms.Present(r.FormValue("room"))
	slices.Sort(present)
	return strings.Join(present, " "), nil
}

func (p *program) revoke(r *http.Request) (string, error) {
	ended, err := p.ws.Revoke(r.Context(), wsroute.Revocation{Subject: r.FormValue("sub")})
	if err != nil {
		return "", fmt.Errorf("%d ended: %w", ended, err)
	}
	return strconv.Itoa(ended), nil
}

func (p *program) ban(r *http.Request) (string, error) {
	p.banned.Store(r.FormValue("sub"), true)
	return "", nil
}

// burst sends so many messages to a room, from some goroutines, and returns how long it took.
func (p *program) burst(r *http.Request) (string, error) {
	n, errN := strconv.Atoi(r.FormValue("n"))
	wide, errWide := strconv.Atoi(r.FormValue("wide"))
	size, errSize := strconv.Atoi(r.FormValue("size"))
	if err := errors.Join(errN, errWide, errSize); err != nil {
		return "", err
	}
	var all sync.WaitGroup
	var failed atomic.Value
	text := strings.Repeat("x", size)
	begun := time.Now()
	for g := range wide {
		all.Go(func() {
			for i := range n / wide {
				m := said{fmt.Sprint(os.Getenv("NAME"), g), i, text}
				if err := p.rooms.Send(r.Context(), r.FormValue("room"), m); err != nil {
					failed.CompareAndSwap(nil, err)
				}
			}
		})
	}
	all.Wait()
	if err, ok := failed.Load().(error); ok {
		return "", err
	}
	return time.Since(begun).String(), nil
}

func goroutines(*http.Request) (string, error) {
	runtime.GC()
	return strconv.Itoa(runtime.NumGoroutine()), nil
}
