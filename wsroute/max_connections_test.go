package wsroute_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// limited serves a route whose connections wait; ?as= says whose they are, of ?issuer=,
// and ?fail= how their handshake ends.
func limited(t *testing.T, config *wsroute.Config) *wstest.Server {
	config.Logger = quiet().Logger
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		As     string `query:"as" default:""`
		Issuer string `query:"issuer" default:""`
		Fail   string `query:"fail" default:""`
	},
	) (gate, error) {
		depends.Identify(ctx, depends.Identity{Issuer: in.Issuer, Subject: in.As})
		switch in.Fail {
		case "panic":
			panic("in a provider")
		case "upgrade":
			depends.ResponseHeader(ctx).Set("Upgrade", "nothing")
		case "error":
			return gate{}, errors.New("failed")
		case "slow":
			<-ctx.Done()
		}
		return gate{}, nil
	}, depends.Handshake)
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ _ gate }) error {
		_, err := conn.Receive(ctx)
		return err
	})
	return wstest.Start(t, ws)
}

// TestTwoHundredHandshakesAtOnce: five of them are let in, whatever the limit counts.
func TestTwoHundredHandshakesAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		config wsroute.Config
		query  string
		status int
	}{
		"connections": {wsroute.Config{MaxConnections: 5}, "", 503},
		"address":     {wsroute.Config{MaxPerAddress: 5}, "", 429},
		"principal":   {wsroute.Config{MaxPerPrincipal: 5}, "?as=alice", 429},
	} {
		t.Run(name, func(t *testing.T) {
			srv := limited(t, &test.config)
			var open, refused atomic.Int32
			var conns sync.Map
			var all sync.WaitGroup
			for i := range 200 {
				all.Go(func() {
					status, body := upgradeOnce(t, srv, "/ws"+test.query, fmt.Sprintf("10.0.%d.1", i))
					switch status {
					case 101:
						open.Add(1)
						conns.Store(i, body)
					case test.status:
						refused.Add(1)
					default:
						t.Errorf("got %d", status)
					}
				})
			}
			all.Wait()
			if open.Load() != 5 || refused.Load() != 195 {
				t.Errorf("%d are open, %d refused", open.Load(), refused.Load())
			}
			conns.Range(func(_, body any) bool { return body.(io.Closer).Close() == nil })
			for range 100 { // all are given back, though their peers went without a word
				if status, body := upgradeOnce(t, srv, "/ws"+test.query, ""); status == 101 {
					_ = body.Close()
					return
				}
				<-time.After(10 * time.Millisecond)
			}
			t.Error("nobody is let in after the five have gone")
		})
	}
}

// upgradeOnce asks for a connection; a forged header changes nothing.
func upgradeOnce(t *testing.T, srv *wstest.Server, target, forged string) (int, io.Closer) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.Host+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	if forged != "" {
		request.Header.Set("X-Forwarded-For", forged)
	}
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		_ = response.Body.Close()
	}
	return response.StatusCode, response.Body
}

// TestEachEndGivesBackItsPlace: after every way in which a connection can fail and end,
// the next one is let in.
func TestEachEndGivesBackItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := limited(t, &wsroute.Config{MaxConnections: 1, MaxHandshakes: 1, MaxPerAddress: 1, MaxPerPrincipal: 1})
		for range 3 {
			for fail, status := range map[string]int{"panic": 500, "error": 500, "slow": 503, "upgrade": 500} {
				if r := wstest.Refused(t, srv, "/ws?as=alice&fail="+fail); r.Status != status {
					t.Errorf("%s: got %d %s", fail, r.Status, r.Body)
				}
				synctest.Wait()
			}
			wstest.Refused(t, srv, "/ws?as=alice", wstest.Header("Origin", "https://evil.example"))
			gone, err := srv.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(gone, handshake, "/ws?fail=slow")
			synctest.Wait()
			if r := wstest.Refused(t, srv, "/ws"); r.Status != 503 || r.Problem.Reason != "too_many_connections" || r.Header.Get("Retry-After") != "2" {
				t.Errorf("while one is resolved: %d %s", r.Status, r.Body)
			}
			_ = gone.Close()
			synctest.Wait()
			peer := wstest.Dial[string, string](t, srv, "/ws?as=alice")
			_ = peer.WebSocket.NetConn().Close()
			synctest.Wait()
			wstest.Dial[string, string](t, srv, "/ws?as=alice").Close(1000, "")
			synctest.Wait()
		}
	})
}

// TestHandshakesInFlight are limited by themselves; open connections do not count.
func TestHandshakesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := limited(t, &wsroute.Config{MaxHandshakes: 1})
		for range 2 {
			wstest.Dial[string, string](t, srv, "/ws")
			synctest.Wait() // the place is given back just after the 101
		}
		gone, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer gone.Close()
		_, _ = fmt.Fprintf(gone, handshake, "/ws?fail=slow")
		synctest.Wait()
		if r := wstest.Refused(t, srv, "/ws"); r.Status != 503 || r.Problem.Reason != "too_many_handshakes" {
			t.Errorf("got %d %s", r.Status, r.Body)
		}
		wstest.Dial[string, string](t, limited(t, &wsroute.Config{MaxPerPrincipal: 1}), "/ws")
	})
}

// TestAPrincipalIsCountedByItself: others, and those whom nobody names, come in.
func TestAPrincipalIsCountedByItself(t *testing.T) {
	srv := limited(t, &wsroute.Config{MaxPerPrincipal: 1})
	wstest.Dial[string, string](t, srv, "/ws?as=alice")
	wstest.Dial[string, string](t, srv, "/ws?as=bob")
	wstest.Dial[string, string](t, srv, "/ws")
	wstest.Dial[string, string](t, srv, "/ws")
	if r := wstest.Refused(t, srv, "/ws?as=alice"); r.Status != 429 || r.Problem.Reason != "too_many_of_principal" {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
	// A subject may look like an issuer and a subject.
	wstest.Dial[string, string](t, srv, "/ws?issuer=google&as=7")
	wstest.Dial[string, string](t, srv, "/ws?as=google+7")
	wstest.Dial[string, string](t, srv, "/ws?issuer=google+7&as=7")
	wstest.Dial[string, string](t, srv, "/ws?issuer=google&as=7+7")
	if r := wstest.Refused(t, srv, "/ws?issuer=google&as=7"); r.Status != 429 {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
}

// TestLimitsComeBeforeCredentials: who finds no room learns nothing of them, and what is
// malformed or foreign is told before there is talk of room.
func TestLimitsComeBeforeCredentials(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	config := quiet()
	config.MaxConnections = 1
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ Who who }) error {
		_, err := conn.Receive(ctx)
		return err
	}, wsroute.AcceptThenClose)
	srv := wstest.Start(t, ws)
	wstest.Dial[string, string](t, srv, "/ws?token=a")
	for _, test := range []struct {
		query   string
		options []wstest.Option
		status  int
		reason  string
	}{
		{"", nil, 503, "too_many_connections"},
		{"?token=a&token=b", nil, 503, "too_many_connections"},
		{"?token=a", nil, 503, "too_many_connections"},
		{"?token=%", nil, 400, "invalid_query"},
		{"", []wstest.Option{wstest.Header("Origin", "https://elsewhere.example")}, 403, "origin_not_allowed"},
	} {
		if r := wstest.Refused(t, srv, "/ws"+test.query, test.options...); r.Status != test.status || r.Problem.Reason != test.reason {
			t.Errorf("%q: got %d %s, want %d %s", test.query, r.Status, r.Body, test.status, test.reason)
		}
	}
}

// TestAcceptThenCloseHoldsUpNoHandshake: a refused client that does not leave is a
// connection, but no handshake in flight.
func TestAcceptThenCloseHoldsUpNoHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deps := depends.New()
		bearer(deps)
		config := quiet()
		config.MaxHandshakes = 1
		ws := wsroute.New(deps, config)
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil }, wsroute.AcceptThenClose)
		srv := wstest.Start(t, ws)
		for range 3 {
			silent, err := srv.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			_, _ = fmt.Fprintf(silent, handshake, "/ws")
			synctest.Wait()
		}
		wstest.Dial[string, string](t, srv, "/ws?token=a").Closed()
	})
}

// TestAnAddressWithoutAPort counts, as middleware writes it; none at all is told of once.
func TestAnAddressWithoutAPort(t *testing.T) {
	for addr, want := range map[string]int{"203.0.113.9:1": 1, "203.0.113.9": 1, "2001:db8::1": 1, "[2001:db8::1]": 1, "@": 3, "": 3} {
		var log safeBuffer
		config := quiet()
		config.MaxPerAddress = 1
		config.Logger = slog.New(slog.NewTextHandler(&log, nil))
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			_, err := conn.Receive(ctx)
			return err
		}, wsroute.Public)
		routes, err := ws.Handler()
		if err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = addr
			routes.ServeHTTP(w, r)
		}))
		open := 0
		for range 3 {
			conn, err := srv.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = fmt.Fprintf(conn, handshake, "/")
			answer := make([]byte, 4<<10)
			if n, err := conn.Read(answer); err == nil && strings.HasPrefix(string(answer[:n]), "HTTP/1.1 101") {
				open++
			}
		}
		if told := strings.Count(log.String(), "MaxPerAddress does not count"); open != want || told != max(0, want-2) {
			t.Errorf("%q: %d of 3 at once, told %d times", addr, open, told)
		}
	}
}

// TestAcceptThenCloseCountsForTheAddress: a limit by address holds for connections that
// are accepted only to be closed with a reason.
func TestAcceptThenCloseCountsForTheAddress(t *testing.T) {
	config := quiet()
	config.MaxPerAddress = 2
	srv := wstest.StartLoopback(t, guarded(t, config, 0, wsroute.AcceptThenClose))
	told := 0
	for range 6 {
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, ask(""))
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode == http.StatusSwitchingProtocols {
			told++
		}
	}
	if told != config.MaxPerAddress {
		t.Errorf("%d of one address are open at once, want %d", told, config.MaxPerAddress)
	}
}
