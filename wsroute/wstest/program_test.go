package wstest_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type lines = wsroute.Conn[string, string]

func silent() *wsroute.Config {
	return &wsroute.Config{Logger: slog.New(slog.DiscardHandler)}
}

// TestKeys sign and are found in their set, in a bubble, also after a rotation. A stranger's are
// not.
func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type claims struct{ jwt.RegisteredClaims }
		keys, stranger := wstest.NewKeys(t), wstest.NewKeys(t)
		deps := depends.New()
		security.Use(deps, security.JWT[claims]{JWKS: keys.JWKS(), Issuer: "https://issuer.test", Audience: "chat"})
		ws := wsroute.New(deps, silent())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *lines, in struct{ Claims claims }) error {
			return conn.Send(ctx, in.Claims.Subject)
		})
		srv := wstest.Start(t, ws)
		token := func(k *wstest.Keys) wstest.Option {
			now := time.Now()
			return wstest.Header("Authorization", "Bearer "+k.Sign(claims{jwt.RegisteredClaims{
				Issuer: "https://issuer.test", Audience: jwt.ClaimStrings{"chat"}, Subject: "ada",
				IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
			}}))
		}
		old := token(keys)
		for range 2 {
			if got := wstest.Dial[string, string](t, srv, "/", token(keys)).Receive(); got != "ada" {
				t.Errorf("got %q", got)
			}
			keys.Rotate()
			time.Sleep(time.Minute)
		}
		if got := wstest.Dial[string, string](t, srv, "/", old).Receive(); got != "ada" {
			t.Errorf("with the key before: got %q", got)
		}
		if r := wstest.Refused(t, srv, "/", token(stranger)); r.Status != 401 {
			t.Errorf("a stranger's token: %d", r.Status)
		}
	})
}

// TestAWaitOfOnesOwn: a peer waits as long as the test says, and what came too late is there for
// the next call.
func TestAWaitOfOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(depends.New(), silent())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *lines, _ struct{}) error {
			for _, wait := range []time.Duration{20 * time.Second, 40 * time.Second} {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return ctx.Err()
				}
				if wait == 20*time.Second {
					_ = conn.Send(ctx, "late")
				}
			}
			return conn.Close(4000, "later")
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		peer := wstest.Dial[string, string](t, srv, "/")
		peer.NothingSent(15 * time.Second)
		peer.NothingSent(4 * time.Second)
		if got := peer.Receive(); got != "late" {
			t.Errorf("got %q", got)
		}
		peer.Timeout = time.Minute
		if got := peer.Closed(); got.Code != 4000 {
			t.Errorf("closed with %v", got)
		}
		for name, failing := range map[string]func(peer *wstest.Peer[string, string]){
			"Receive":            func(peer *wstest.Peer[string, string]) { peer.Receive() },
			"Closed":             func(peer *wstest.Peer[string, string]) { peer.Closed() },
			"a message too soon": func(peer *wstest.Peer[string, string]) { peer.NothingSent(30 * time.Second) },
		} {
			if !fails(t, func(t testing.TB) { failing(wstest.Dial[string, string](t, srv, "/")) }) {
				t.Errorf("%s does not fail", name)
			}
		}
	})
}

// TestOverridesBehindMiddleware: an engine with middleware is given to StartHandler, which mounts
// the router with the overrides.
func TestOverridesBehindMiddleware(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	type greeting string
	newRouter := func() *wsroute.Router {
		deps := depends.New()
		depends.Provide(deps, func(context.Context, struct{ Request *http.Request }) (greeting, error) { return "hello", nil })
		ws := wsroute.New(deps, silent())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *lines, in struct {
			Greeting greeting
			Client   depends.ClientAddr
			Request  *http.Request
		},
		) error {
			return conn.Send(ctx, string(in.Greeting)+" "+in.Client.String()+" "+in.Request.Header.Get("X-Middleware"))
		}, wsroute.Public)
		return ws
	}
	newEngine := func() *gin.Engine {
		engine := gin.New()
		engine.Use(func(c *gin.Context) { c.Request.Header.Set("X-Middleware", "was here") })
		return engine
	}
	client := depends.ClientAddr{Addr: netip.MustParseAddr("192.0.2.7")}
	srv := wstest.StartHandler(t, newRouter(), newEngine(), depends.OverrideValue(greeting("hi")), depends.OverrideValue(client))
	if got := wstest.Dial[string, string](t, srv, "/").Receive(); got != "hi 192.0.2.7 was here" {
		t.Errorf("got %q", got)
	}
	srv = wstest.StartHandler(t, newRouter(), newEngine())
	if got := wstest.Dial[string, string](t, srv, "/").Receive(); got != "hello 127.0.0.1 was here" {
		t.Errorf("without: got %q", got)
	}
	engine, ws := newEngine(), newRouter()
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	if got := wstest.Dial[string, string](t, wstest.StartHandler(t, ws, engine), "/").Receive(); got != "hello 127.0.0.1 was here" {
		t.Errorf("mounted before: got %q", got)
	}
}

// TestPeersThatAreLeftOpenMakeNoNoise in the log.
func TestPeersThatAreLeftOpenMakeNoNoise(t *testing.T) {
	var log lockedBuffer
	t.Run("a test", func(t *testing.T) {
		ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *lines, _ struct{}) error {
			_, err := conn.Receive(ctx)
			return err
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		for range 5 {
			wstest.Dial[string, string](t, srv, "/")
		}
	})
	if text := log.String(); strings.Contains(text, "WARN") || strings.Count(text, "connection ended") != 5 {
		t.Errorf("logged\n%s", text)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
