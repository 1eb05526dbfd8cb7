package wsroute_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestRefusedPeersTakeNobodysPlace: peers that are told by a close frame why they are refused
// have a share of their own, and a second to go.
func TestRefusedPeersTakeNobodysPlace(t *testing.T) {
	for name, credential := range map[string]string{"none": "", "a bad one": "?token=bad", "two": "?token=a&token=b", "a bad parameter": "?token=a&n=x"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				deps := depends.New()
				provideScheme(deps, depends.Scheme{Name: "test", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "token"}}},
					func(_ context.Context, c depends.Credential) (who, error) {
						if c.Value == "bad" {
							return who{}, depends.Unauthorized("Bearer", nil)
						}
						return who{c.Value}, nil
					})
				config := quiet()
				config.MaxConnections = 20
				ws := wsroute.New(deps, config)
				type in struct {
					_ who
					N int `query:"n" default:"0"`
				}
				wsroute.Handle(ws, "/ws", func(ctx context.Context, c *wsroute.Conn[string, string], _ in) error {
					_, err := c.Receive(ctx)
					return err
				}, wsroute.AcceptThenClose)
				srv := wstest.Start(t, ws)
				strange := func() (status string, conn net.Conn) {
					conn, err := srv.Connect(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					_, _ = fmt.Fprintf(conn, handshake, "/ws"+credential)
					answer, _ := bufio.NewReader(conn).ReadString('\n')
					return strings.Fields(answer)[1], conn
				}
				told := map[string]int{}
				for range 10 {
					status, conn := strange()
					defer conn.Close()
					told[status]++
				}
				if told["101"] != 2 { // a tenth of MaxConnections
					t.Errorf("of ten strangers: %v", told)
				}
				for range config.MaxConnections {
					defer wstest.Dial[string, string](t, srv, "/ws?token=good").WebSocket.Close()
				}
				if r := wstest.Refused(t, srv, "/ws?token=good"); r.Problem.Reason != "too_many_connections" {
					t.Errorf("one too many: %d %s", r.Status, r.Body)
				}
				time.Sleep(1100 * time.Millisecond) // the strangers have not answered the close frame
				synctest.Wait()
				if status, conn := strange(); credential != "" && status == "101" {
					t.Error("a full router accepts a stranger with a credential")
				} else {
					_ = conn.Close()
				}
			})
		})
	}
}

// TestARefusedPeerHasASecondToGo, after which its socket is closed and its place is free.
func TestARefusedPeerHasASecondToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := wstest.Start(t, guarded(t, &wsroute.Config{MaxConnections: 1, Logger: quiet().Logger}, 0, wsroute.AcceptThenClose))
		for range 3 {
			conn, err := srv.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			_, _ = io.WriteString(conn, ask(""))
			all, _ := io.ReadAll(conn)
			if d := time.Since(begin); !strings.HasPrefix(string(all), "HTTP/1.1 101") || d > 1100*time.Millisecond {
				t.Errorf("after %v: %q", d, all)
			}
			_ = conn.Close()
			synctest.Wait() // its place is free behind the end of its socket
		}
	})
}

// TestARefusedHandshakeKeepsNoSocket: a socket that stays open after a refusal is one that no
// limit counts.
func TestARefusedHandshakeKeepsNoSocket(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	config := quiet()
	config.MaxPerAddress = 1
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct {
		_ who
		N int `query:"n" default:"0"`
	},
	) error {
		return nil
	})
	wsroute.HandleHTTP(ws, http.MethodGet, "/page", says("page"))
	srv := wstest.StartLoopback(t, ws)
	good := fmt.Sprintf(handshake, "/ws?token=a&n=x")
	for name, test := range map[string]struct {
		request string
		status  int
		closed  bool
	}{
		"no credential": {fmt.Sprintf(handshake, "/ws"), 401, true},
		"a parameter":   {good, 422, true},
		"no route":      {fmt.Sprintf(handshake, "/none"), 404, true},
		"an origin":     {strings.Replace(good, "\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n", 1), 403, true},
		"a method":      {strings.Replace(good, "GET", "DELETE", 1), 405, true},
		"a version":     {strings.Replace(good, "Version: 13", "Version: 8", 1), 426, true},
		"a key":         {strings.Replace(good, "ZQ==", "", 1), 400, true},
		"a body":        {strings.Replace(good, "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", 1), 400, true},
		"plain":         {"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426, false},
		"a page":        {"GET /page HTTP/1.1\r\nHost: x\r\n\r\n", 200, false},
	} {
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, test.request)
		var raw strings.Builder // net/http takes Connection out of a response
		in := bufio.NewReader(io.TeeReader(conn, &raw))
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != test.status || response.Close != test.closed {
			t.Errorf("%s: %d, close %t", name, response.StatusCode, response.Close)
		}
		if test.status == 426 && !strings.Contains(raw.String(), "Connection: Upgrade\r\n") {
			t.Errorf("%s: Upgrade is no option of the connection:\n%s", name, raw.String())
		}
		if test.closed {
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("%s: %v", name, err)
			}
		}
		_ = conn.Close()
	}
}

// stuck is a log that blocks as long as it is told to.
type stuck struct {
	slog.Handler
	block atomic.Bool
	free  chan struct{}
}

func (s *stuck) Handle(ctx context.Context, line slog.Record) error {
	if s.block.Load() {
		<-s.free
	}
	return s.Handler.Handle(ctx, line)
}

// TestALogThatBlocks holds up neither answers nor places nor the end of Serve for long, and
// goes on when it can.
func TestALogThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out safeBuffer
		log := &stuck{Handler: textLogger(&out).Handler(), free: make(chan struct{})}
		deps := depends.New()
		bearer(deps)
		depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
			depends.Cleanup(ctx, func(context.Context, error) error { return io.ErrUnexpectedEOF }) // is logged, too
			return gate{}, nil
		})
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(log), MaxConnections: 1})
		wsroute.Handle(ws, "/ws", func(ctx context.Context, c *wsroute.Conn[string, string], _ struct {
			_    who
			Gate gate
		},
		) error {
			_, err := c.Receive(ctx)
			return err
		})
		wsroute.HandleHTTP(ws, http.MethodGet, "/page", func(http.ResponseWriter, *http.Request, struct{ _ who }) error { return nil })
		srv := wstest.Start(t, ws)
		log.block.Store(true)
		begin := time.Now()
		within := func(what string, d time.Duration) {
			t.Helper()
			if got := time.Since(begin); got > d {
				t.Errorf("%s: after %v", what, got)
			}
			begin = time.Now()
		}
		for range 3 { // the first waits for the log, the others know
			if r := wstest.Refused(t, srv, "/ws"); r.Status != 401 {
				t.Errorf("got %d", r.Status)
			}
		}
		if r := wstest.Get(t, srv, "/page"); r.Status != 401 {
			t.Errorf("got %d", r.Status)
		}
		within("refusals", time.Second)
		for range 3 {
			wstest.Dial[string, string](t, srv, "/ws?token=a").Close(1000, "")
			synctest.Wait()
		}
		within("connections", 0)
		close(log.free)
		log.block.Store(false)
		synctest.Wait()
		wstest.Refused(t, srv, "/ws?token=a&token=b")
		within("a log that writes again", 0)
		if got := strings.Count(out.String(), "\n"); got != 2 || !strings.Contains(out.String(), "status=400") {
			t.Errorf("the log has %d lines:\n%s", got, out.String())
		}
		log.free = make(chan struct{})
		log.block.Store(true)
		wstest.Dial[string, string](t, srv, "/ws?token=a")
		synctest.Wait()
		srv.Stop() // fails the test if it is not clean
		within("the stop", 5*time.Second)
		close(log.free)
	})
}

// TestAHangingProviderIsAnswered: one rule for a socket and a plain request, whether or not
// the provider looks at its context, and whatever it waits for.
func TestAHangingProviderIsAnswered(t *testing.T) {
	for name, hang := range map[string]func(ctx context.Context, r *http.Request, free <-chan struct{}){
		"on its context": func(ctx context.Context, _ *http.Request, _ <-chan struct{}) { <-ctx.Done() },
		"on a lock":      func(_ context.Context, _ *http.Request, free <-chan struct{}) { <-free },
		"on the body":    func(_ context.Context, r *http.Request, _ <-chan struct{}) { _, _ = io.Copy(io.Discard, r.Body) },
	} {
		synctest.Test(t, func(t *testing.T) {
			free := make(chan struct{})
			deps := depends.New()
			depends.Provide(deps, func(ctx context.Context, in struct{ R *http.Request }) (gate, error) {
				hang(ctx, in.R, free)
				return gate{}, ctx.Err()
			})
			ws := wsroute.New(deps, quiet())
			wsroute.HandleHTTP(ws, http.MethodPost, "/a", func(http.ResponseWriter, *http.Request, struct{ _ gate }) error { return nil })
			wsroute.HandleHTTP(ws, http.MethodPost, "/guard", says("x"), wsroute.Require[gate]())
			if name != "on the body" { // a handshake has none
				wsroute.Handle(ws, "/a", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil }, wsroute.Public)
			}
			srv := wstest.Start(t, ws)
			requests := []string{
				"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", "POST /guard HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
			}
			if name != "on the body" {
				requests = append(requests, fmt.Sprintf(handshake, "/a"))
			}
			for _, request := range requests {
				begin := time.Now()
				status, _, body := exchange(t, srv, request)
				if d := time.Since(begin); status != 503 || d != 5*time.Second || !strings.Contains(body, "timeout") {
					t.Errorf("%s: %q is answered %d %s after %v", name, request, status, body, d)
				}
			}
			close(free)
		})
	}
}
