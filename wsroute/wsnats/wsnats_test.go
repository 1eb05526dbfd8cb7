package wsnats_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wsnats"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within bounds every wait.
const within = 20 * time.Second

// natsServer is one on loopback, with JetStream, that can go away and come back.
type natsServer struct {
	t         *testing.T
	port      int
	dir       string
	jetStream bool
	*server.Server
}

func startNATS(t *testing.T) *natsServer {
	t.Helper()
	return startServer(t, true)
}

func startServer(t *testing.T, jetStream bool) *natsServer {
	t.Helper()
	s := &natsServer{t: t, port: server.RANDOM_PORT, dir: t.TempDir(), jetStream: jetStream}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *natsServer) start() {
	s.t.Helper()
	made, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: s.port, JetStream: s.jetStream, StoreDir: s.dir, NoLog: true, NoSigs: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	made.Start()
	if !made.ReadyForConnections(within) {
		s.t.Fatal("the server does not start")
	}
	s.Server, s.port = made, made.Addr().(*net.TCPAddr).Port
}

func (s *natsServer) stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

func (s *natsServer) connect() *nats.Conn {
	s.t.Helper()
	conn, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", s.port), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	return conn
}

// heard is what a subscription is told: a message, or "live".
func subscribe(t *testing.T, b wsroute.Broker) (heard chan string, ended chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	heard, ended = make(chan string, 100), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- b.Subscribe(ctx, "chat.revoked", func(data []byte) { heard <- string(data) }, func() { heard <- "live" })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return heard, ended
}

func wants[T comparable](t *testing.T, got <-chan T, want T) {
	t.Helper()
	select {
	case v := <-got:
		if v != want {
			t.Errorf("got %v, want %v", v, want)
		}
	case <-time.After(within):
		t.Fatalf("%v does not come", want)
	}
}

func TestBroker(t *testing.T) {
	s := startNATS(t)
	one, two := wsnats.New(s.connect()), wsnats.New(s.connect())
	heard, _ := subscribe(t, two)
	wants(t, heard, "live")
	for i := range 10 {
		if err := one.Publish(t.Context(), "chat.revoked", fmt.Append(nil, i)); err != nil {
			t.Error(err)
		}
	}
	for i := range 10 {
		wants(t, heard, fmt.Sprint(i))
	}
	s.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := one.Publish(ctx, "chat.revoked", []byte("lost")); err == nil {
		t.Error("a server that is down has no error")
	}
	s.start()
	for text := range heard { // what was published while it was down may come, too
		if text == "live" {
			break
		}
	}
	if err := one.Publish(t.Context(), "chat.revoked", []byte("again")); err != nil {
		t.Error(err)
	}
	for text := range heard {
		if text == "again" {
			break
		}
	}
}

func TestAClosedConnection(t *testing.T) {
	s := startNATS(t)
	conn := s.connect()
	heard, ended := subscribe(t, wsnats.New(conn))
	wants(t, heard, "live")
	conn.Close()
	select {
	case err := <-ended:
		if err == nil || err.Error() != "wsnats: the connection is closed" {
			t.Errorf("got %v", err)
		}
	case <-time.After(within):
		t.Fatal("the subscription does not end")
	}
	if err := wsnats.New(conn).Publish(t.Context(), "chat.revoked", nil); err == nil {
		t.Error("a closed connection has no error")
	}
}

func TestLog(t *testing.T) {
	s := startNATS(t)
	conn := s.connect()
	log, err := wsnats.NewLog(t.Context(), conn, "chat")
	if err != nil {
		t.Fatal(err)
	}
	since := func(age time.Duration, complete bool, want ...string) {
		t.Helper()
		entries, got, err := log.Since(t.Context(), age)
		if err != nil || got != complete {
			t.Errorf("complete: %t, %v", got, err)
		}
		var texts []string
		for _, entry := range entries {
			texts = append(texts, string(entry))
		}
		if diff := cmp.Diff(want, texts); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	since(time.Hour, false) // it has just begun
	for _, text := range []string{"a", "b"} {
		if err := log.Append(t.Context(), []byte(text)); err != nil {
			t.Error(err)
		}
	}
	since(time.Hour, false, "a", "b")
	since(0, true)
	other, err := wsnats.NewLog(t.Context(), s.connect(), "chat")
	if err != nil {
		t.Fatal(err)
	}
	if entries, _, err := other.Since(t.Context(), time.Hour); err != nil || len(entries) != 2 {
		t.Errorf("another process reads %d entries, %v", len(entries), err)
	}
	log.Purge(t)
	since(time.Minute, false)
	if err := log.Append(t.Context(), []byte("c")); err != nil {
		t.Error(err)
	}
	since(time.Minute, false, "c")
}

// TestAServerWithoutJetStream says what is missing.
func TestAServerWithoutJetStream(t *testing.T) {
	_, err := wsnats.NewLog(t.Context(), startServer(t, false).connect(), "chat")
	if want := "is JetStream enabled on the server?"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q is not in %v", want, err)
	}
}

// member is who connects.
type member struct{}

// process is one of a program.
func process(t *testing.T, s *natsServer) (*wsroute.Router, *wstest.Server) {
	t.Helper()
	conn := s.connect()
	log, err := wsnats.NewLog(t.Context(), conn, "chat")
	if err != nil {
		t.Fatal(err)
	}
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		Subject string `query:"sub"`
	},
	) (member, error) {
		depends.Identify(ctx, depends.Identity{Subject: in.Subject})
		return member{}, nil
	})
	ws := wsroute.New(deps, &wsroute.Config{
		Name: "chat", Broker: wsnats.New(conn), RevocationLog: log, RequireBroker: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	wsroute.Handle(ws, "/ws", func(ctx context.Context, c *wsroute.Conn[string, string], _ struct{ _ member }) error {
		_, err := c.Receive(ctx)
		return err
	})
	return ws, wstest.Start(t, ws)
}

// TestRevokeReachesAllProcesses, while the server is there, and after it was away.
func TestRevokeReachesAllProcesses(t *testing.T) {
	s := startNATS(t)
	here, _ := process(t, s)
	_, two := process(t, s)
	_, three := process(t, s)
	for _, srv := range []*wstest.Server{two, three} {
		ada := wstest.Dial[string, string](t, srv, "/ws?sub=ada")
		if _, err := here.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		if end := ada.Closed(); end.Code != 3000 || end.Reason != "revoked" {
			t.Errorf("got %v", end)
		}
	}
	bob := wstest.Dial[string, string](t, two, "/ws?sub=bob")
	s.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := here.Revoke(ctx, wsroute.Revocation{Subject: "bob"}); err == nil {
		t.Error("a revocation that nobody hears has no error")
	}
	s.start()
	var err error
	for err = context.Canceled; err != nil && t.Context().Err() == nil; { // until the program can say it
		_, err = here.Revoke(t.Context(), wsroute.Revocation{Subject: "bob"})
	}
	if end := bob.Closed(); end.Code != 3000 || end.Reason != "revoked" {
		t.Errorf("got %v", end)
	}
}
