package wsredis_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wsredis"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within bounds every wait.
const within = 20 * time.Second

// redisServer is one on loopback that can go away and come back, with what it had.
type redisServer struct {
	t    *testing.T
	addr *net.TCPAddr
	dir  string
	cmd  *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI_BROKERS") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no redis-server: ", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{t: t, addr: l.Addr().(*net.TCPAddr), dir: t.TempDir()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *redisServer) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(s.addr.Port),
		"--dir", s.dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: s.addr.String(), MaxRetries: -1})
	defer client.Close()
	for end := time.Now().Add(within); client.Ping(context.Background()).Err() != nil; {
		if time.Now().After(end) {
			s.t.Fatal("the server does not start")
		}
	}
}

func (s *redisServer) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *redisServer) connect() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: s.addr.String()})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// subscribe tells what a subscription is told: a message, or "live". It subscribes again after an
// error, as usher does.
func subscribe(t *testing.T, b wsroute.Broker) (heard chan string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	heard = make(chan string, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = b.Subscribe(ctx, "chat.revoked", func(data []byte) { heard <- string(data) }, func() { heard <- "live" })
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return heard
}

func wants(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(within):
		t.Fatalf("%q does not come", want)
	}
}

func TestBroker(t *testing.T) {
	s := startRedis(t)
	one, two := wsredis.New(s.connect()), wsredis.New(s.connect())
	heard := subscribe(t, two)
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
	wants(t, heard, "live")
	if err := one.Publish(t.Context(), "chat.revoked", []byte("again")); err != nil {
		t.Error(err)
	}
	wants(t, heard, "again")
}

func TestLog(t *testing.T) {
	s := startRedis(t)
	client := s.connect()
	log := wsredis.NewLog(client, "chat")
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
	old := fmt.Sprintf("%d-0", time.Now().Add(-2*time.Hour).UnixMilli())
	if err := client.Del(t.Context(), "chat.revocations").Err(); err != nil {
		t.Fatal(err)
	}
	since(time.Minute, false) // it was emptied
	if err := client.Del(t.Context(), "chat.revocations").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: "chat.revocations", ID: old, Values: []any{"entry", "old"}}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := log.Append(t.Context(), []byte("c")); err != nil {
		t.Error(err)
	}
	since(time.Hour, true, "c")
	since(3*time.Hour, false, "old", "c")
}

// member is who connects.
type member struct{}

// process is one of a program.
func process(t *testing.T, s *redisServer) (*wsroute.Router, *wstest.Server) {
	t.Helper()
	client := s.connect()
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		Subject string `query:"sub"`
	},
	) (member, error) {
		depends.Identify(ctx, depends.Identity{Subject: in.Subject})
		return member{}, nil
	})
	ws := wsroute.New(deps, &wsroute.Config{
		Name: "chat", Broker: wsredis.New(client), RevocationLog: wsredis.NewLog(client, "chat"), RequireBroker: true,
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
	s := startRedis(t)
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
