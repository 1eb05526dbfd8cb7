package wsroute_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// offerDeflate is the header line of a client that can inflate.
const offerDeflate = "Sec-WebSocket-Extensions: permessage-deflate"

// open makes a handshake octet by octet.
func open(t *testing.T, srv *wstest.Server, lines ...string) *conformance.Peer {
	t.Helper()
	c, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	p, err := conformance.Open(c, nil, lines...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// closeFrame is a client's.
func closeFrame(code uint16, reason string) conformance.Frame {
	return conformance.Frame{Opcode: conformance.Close, Payload: append([]byte{byte(code >> 8), byte(code)}, reason...)}
}

func textFrame(s string) conformance.Frame {
	return conformance.Frame{Opcode: conformance.Text, Payload: []byte(s)}
}

// write sends frames in one segment.
func write(t *testing.T, p *conformance.Peer, frames ...conformance.Frame) {
	t.Helper()
	var b []byte
	for _, f := range frames {
		b = append(b, f.Encode()...)
	}
	if _, err := p.Conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// TestAFrameThatGorillaMisreads: a frame with a reserved bit that nothing has given a
// meaning (RFC 6455 §5.2, RFC 7692 §6) ends the connection at once with 1002, and
// everything that belongs to it: the context, its place in rooms, everybody's Send.
func TestAFrameThatGorillaMisreads(t *testing.T) {
	begun := conformance.Frame{Opcode: conformance.Text, RSV: 4, More: true, Payload: []byte{0xf2, 0x48}}
	for _, deflate := range []bool{false, true} {
		for rsv := range byte(8) {
			for name, frames := range map[string][]conformance.Frame{
				"close":              {{Opcode: conformance.Close, Payload: []byte{3, 0xe8}}},
				"close without code": {{Opcode: conformance.Close}},
				"ping":               {{Opcode: conformance.Ping, Payload: []byte("x")}},
				"pong":               {{Opcode: conformance.Pong}},
				"continuation":       {begun, {Payload: []byte{0xcd, 0xc9}}},
				"last continuation":  {begun, {Payload: []byte{0xcd}, More: true}, {Payload: []byte{0xc9}}},
				"ping within":        {begun, {Opcode: conformance.Ping}},
				"close within":       {begun, {Opcode: conformance.Close, Payload: []byte{3, 0xe8}}},
			} {
				frames[len(frames)-1].RSV = rsv
				if rsv == 0 || frames[0].RSV == 4 && len(frames) > 1 && !deflate {
					continue
				}
				t.Run(fmt.Sprintf("deflate %t, %03b on %s", deflate, rsv, name), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { endsWithProtocolError(t, deflate, frames) })
				})
			}
		}
	}
}

// TestABlockThatIsCut: a compressed message that ends within a stored block (RFC 1951 §3.2.4).
func TestABlockThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endsWithProtocolError(t, true, []conformance.Frame{
			{Opcode: conformance.Text, RSV: 4, Payload: []byte{0, 200, 0, 55, 255, 'a'}},
		})
	})
}

// endsWithProtocolError sends frames to a member of a room that then goes away.
func endsWithProtocolError(t *testing.T, deflate bool, frames []conformance.Frame) {
	var room wsroute.Room[string]
	cause := make(chan error, 1)
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
		room.Join(conn)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil
	}, wsroute.Compress, wsroute.Public)
	var lines []string
	if deflate {
		lines = []string{offerDeflate}
	}
	p := open(t, wstest.Start(t, ws), lines...)
	synctest.Wait()
	start := time.Now()
	write(t, p, frames...)
	if e, err := p.Read(); err != nil || !bytes.HasPrefix(e.Payload, []byte{3, 0xea}) {
		t.Errorf("the peer reads %v, %v", e, err)
	}
	_ = p.Conn.Close()
	if err := room.Send(t.Context(), string(make([]byte, 1<<20))); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	select {
	case err := <-cause:
		if !errors.Is(err, wsroute.ErrProtocol) {
			t.Errorf("the cause is %v", err)
		}
	default:
		t.Error("the handler's context goes on")
	}
	if d := time.Since(start); d != 0 || room.Len() != 0 {
		t.Errorf("after %v, %d are in the room", d, room.Len())
	}
}

// TestWhatIsSaidBeforeAClose: a client that says something and closes is heard and
// answered, as long as its socket is open, and then its close frame is.
func TestWhatIsSaidBeforeAClose(t *testing.T) {
	for _, n := range []int{1, 5, 20} {
		for _, works := range []time.Duration{0, 20 * time.Millisecond, 1900 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d messages, %v each", n, works), func(t *testing.T) {
				times := 1
				if works == 0 {
					times = 300
				}
				for range times {
					synctest.Test(t, func(t *testing.T) {
						ws, ended := answering(works)
						saysAndCloses(t, wstest.Start(t, ws), n, ended)
					})
				}
			})
		}
	}
}

// TestWhatIsSaidBeforeACloseOverTCP is that over real sockets, many at once.
func TestWhatIsSaidBeforeACloseOverTCP(t *testing.T) {
	for _, n := range []int{1, 5, 20} {
		ws, ended := answering(20 * time.Millisecond)
		srv := wstest.StartLoopback(t, ws)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { saysAndCloses(t, srv, n, ended) })
		}
		all.Wait()
	}
}

// answering is a router that works on each message before it answers, and what its
// handlers ended with.
func answering(works time.Duration) (*wsroute.Router, <-chan error) {
	ended := make(chan error, 1000)
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
		for {
			m, err := conn.Receive(ctx)
			if err != nil {
				ended <- errors.Join(err, context.Cause(ctx))
				return err
			}
			if works > 0 {
				select {
				case <-time.After(works):
				case <-ctx.Done():
					ended <- fmt.Errorf("the context ended under %s", m)
					return nil
				}
			}
			if err := conn.Send(ctx, m); err != nil {
				ended <- err
				return err
			}
		}
	}, wsroute.Public)
	return ws, ended
}

// saysAndCloses says so many things and closes in one segment, and wants the answers.
func saysAndCloses(t *testing.T, srv *wstest.Server, n int, ended <-chan error) {
	p := open(t, srv)
	var frames []conformance.Frame
	for i := range n {
		frames = append(frames, textFrame(fmt.Sprint(i)))
	}
	write(t, p, append(frames, closeFrame(4000, "bye"))...)
	for i := range n {
		if e, err := p.Read(); err != nil || string(e.Payload) != fmt.Sprint(i) {
			t.Errorf("answer %d is %v, %v", i, e, err)
			return
		}
	}
	if e, err := p.Read(); err != nil || e.Opcode != conformance.Close || !bytes.HasPrefix(e.Payload, []byte{4000 >> 8, 4000 & 0xff}) {
		t.Errorf("behind the answers comes %v, %v", e, err)
	}
	var closed *wsroute.CloseError
	if err := <-ended; !errors.As(err, &closed) || *closed != (wsroute.CloseError{Code: 4000, Reason: "bye"}) {
		t.Errorf("Receive returned %v", err)
	}
}

// TestWhenAPeerThatCloses: how long a handler's context goes on behind the peer's close
// frame depends on what the handler has in its hands.
func TestWhenAPeerThatCloses(t *testing.T) {
	type conn = *wsroute.Conn[string, string]
	for name, tt := range map[string]struct {
		handler func(ctx context.Context, c conn)
		frames  []conformance.Frame // beside the close frame
		before  time.Duration       // between the first and the others
		want    time.Duration       // from the close frame to the end of the context
	}{
		"while it waits": {
			func(ctx context.Context, c conn) { _, _ = c.Receive(ctx) }, nil, 0, 0,
		},
		"while it has taken nothing": {
			func(ctx context.Context, _ conn) { <-ctx.Done() }, nil, 0, 0,
		},
		"while it works": {
			func(ctx context.Context, c conn) { _, _ = c.Receive(ctx); <-ctx.Done() },
			[]conformance.Frame{textFrame("a")},
			0, 2 * time.Second,
		},
		"while it has worked for a second": {
			func(ctx context.Context, c conn) { _, _ = c.Receive(ctx); <-ctx.Done() },
			[]conformance.Frame{textFrame("a")},
			time.Second, time.Second,
		},
		"while it streams since long": {
			func(ctx context.Context, c conn) { _, _ = c.Receive(ctx); <-ctx.Done() },
			[]conformance.Frame{textFrame("a")},
			time.Minute, 0,
		},
		"while it works and more waits": {
			func(ctx context.Context, c conn) { _, _ = c.Receive(ctx); <-ctx.Done() },
			[]conformance.Frame{textFrame("a"), textFrame("b")},
			time.Minute, 2 * time.Second,
		},
		"while it takes one by one": {
			func(ctx context.Context, c conn) {
				for range 3 {
					_, _ = c.Receive(ctx)
					time.Sleep(1500 * time.Millisecond)
				}
				<-ctx.Done()
			},
			[]conformance.Frame{textFrame("a"), textFrame("b"), textFrame("c")},
			0, 5 * time.Second,
		},
		"when it returns": {
			func(ctx context.Context, c conn) { _, _ = c.Receive(ctx); time.Sleep(time.Second) },
			[]conformance.Frame{textFrame("a")},
			0, time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				ws := wsroute.New(depends.New(), quiet())
				wsroute.Handle(ws, "/", func(ctx context.Context, c conn, _ none) error {
					context.AfterFunc(ctx, func() { ended <- context.Cause(ctx) })
					tt.handler(ctx, c)
					return nil
				}, wsroute.Public)
				p := open(t, wstest.Start(t, ws))
				synctest.Wait()
				if tt.before > 0 {
					write(t, p, tt.frames[0])
					tt.frames = tt.frames[1:]
					go func() { // to stay alive
						for {
							if e, err := p.Read(); err != nil {
								return
							} else if e.Opcode == conformance.Ping {
								_, _ = p.Conn.Write(conformance.Frame{Opcode: conformance.Pong, Payload: e.Payload}.Encode())
							}
						}
					}()
					time.Sleep(tt.before)
				}
				start := time.Now()
				write(t, p, append(tt.frames, closeFrame(4001, ""))...)
				var closed *wsroute.CloseError
				if err := <-ended; !errors.As(err, &closed) || closed.Code != 4001 {
					t.Errorf("the cause is %v", err)
				}
				if d := time.Since(start); d != tt.want {
					t.Errorf("the context ended after %v, not %v", d, tt.want)
				}
			})
		})
	}
}

// TestWhoIsHeardBehindAClose: once the peer's close frame is read, the connection is in
// no room and takes nothing from anybody but its own handler.
func TestWhoIsHeardBehindAClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room wsroute.Room[string]
		foreign := make(chan error, 1)
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			room.Join(conn)
			if _, err := conn.Receive(ctx); err != nil {
				return err
			}
			time.Sleep(time.Second)
			if n := room.Len(); n != 0 {
				t.Errorf("%d are in the room", n)
			}
			if err := room.Send(t.Context(), "to the room"); err != nil {
				t.Error(err)
			}
			foreign <- conn.Send(context.Background(), "foreign")
			if err := ctx.Err(); err != nil {
				t.Error(err)
			}
			return conn.Send(ctx, "answer")
		}, wsroute.Public)
		p := open(t, wstest.Start(t, ws))
		write(t, p, textFrame("a"), closeFrame(1000, ""))
		if e, err := p.Read(); err != nil || string(e.Payload) != "answer" {
			t.Errorf("the peer reads %v, %v", e, err)
		}
		if e, err := p.Read(); err != nil || e.Opcode != conformance.Close {
			t.Errorf("behind the answer comes %v, %v", e, err)
		}
		var closed *wsroute.CloseError
		if err := <-foreign; !errors.As(err, &closed) {
			t.Errorf("another's Send returned %v", err)
		}
	})
}

// TestOurEndBehindAClose: an end that discards, such as a revocation, wins over the
// peer's close frame while its handler works on.
func TestOurEndBehindAClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := make(chan error, 1)
		ws := identified(quiet(), nil, func(ctx context.Context, conn *wsroute.Conn[string, string]) error {
			if _, err := conn.Receive(ctx); err != nil {
				return err
			}
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil
		})
		srv := wstest.Start(t, ws)
		c := wstest.Dial[string, string](t, srv, "/ws?sub=ada")
		c.Send("a")
		if _, err := c.WebSocket.NetConn().Write(closeFrame(1000, "").Encode()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		if err := <-cause; !errors.Is(err, wsroute.ErrRevoked) {
			t.Errorf("the cause is %v", err)
		}
		if got := c.Closed(); got.Code != 3000 || got.Reason != "revoked" {
			t.Errorf("closed with %v", got)
		}
	})
}

// TestAPeerThatGoesBehindAFullReadAhead: FIN and RST are noticed although nothing is
// read, so that the handler's context ends at once.
func TestAPeerThatGoesBehindAFullReadAhead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere a ping that fails tells")
	}
	for name, leave := range map[string]func(*net.TCPConn){
		"FIN":            func(c *net.TCPConn) { _ = c.Close() },
		"half a FIN":     func(c *net.TCPConn) { _ = c.CloseWrite() },
		"RST":            func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"close and FIN":  func(c *net.TCPConn) { _, _ = c.Write(closeFrame(1000, "").Encode()); _ = c.Close() },
		"30 kB and FIN":  func(c *net.TCPConn) { _, _ = c.Write(make([]byte, 30<<10)); _ = c.Close() },
		"30 kB and RST":  func(c *net.TCPConn) { _, _ = c.Write(make([]byte, 30<<10)); _ = c.SetLinger(0); _ = c.Close() },
		"later, and FIN": func(c *net.TCPConn) { time.AfterFunc(50*time.Millisecond, func() { _ = c.Close() }) },
	} {
		t.Run(name, func(t *testing.T) {
			full, ended := make(chan func(context.Context) (string, error), 1), make(chan error, 1)
			ws := wsroute.New(depends.New(), quiet())
			wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
				full <- conn.Receive
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return nil
			}, wsroute.Public)
			p := open(t, wstest.StartLoopback(t, ws))
			<-full
			for range 20 {
				write(t, p, textFrame("x"))
			}
			start := time.Now()
			leave(p.Conn.(*net.TCPConn))
			select {
			case err := <-ended:
				if !errors.Is(err, wsroute.ErrPeerLost) {
					t.Errorf("the cause is %v", err)
				}
				t.Logf("noticed after %v", time.Since(start))
			case <-time.After(5 * time.Second):
				t.Error("the handler's context goes on after 5 s")
			}
		})
	}
}

// overTLS serves a router over TLS on loopback, and connects to it.
func overTLS(t *testing.T, ws *wsroute.Router) *conformance.Peer {
	t.Helper()
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	secure := tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{wsroute.SelfSigned(t)}})
	go func() { done <- wsroute.ServeListener(ctx, secure, ws, handler) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	p, err := conformance.Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBehindAFullReadAhead: over real sockets, plain and with TLS, a peer that was slowed
// down is read on when the handler receives, learns of our end, and is noticed when it goes.
func TestBehindAFullReadAhead(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for name, do := range map[string]func(t *testing.T, ws *wsroute.Router, goOn chan struct{}, p *conformance.Peer) string{
			"read on": func(t *testing.T, _ *wsroute.Router, goOn chan struct{}, p *conformance.Peer) string {
				close(goOn)
				for i := range 300 {
					if e, err := p.Read(); err != nil || string(e.Payload) != fmt.Sprint(i) {
						t.Fatalf("answer %d is %v, %v", i, e, err)
					}
				}
				write(t, p, closeFrame(1000, ""))
				e, _ := p.Read()
				return e.String()
			},
			"ended": func(t *testing.T, ws *wsroute.Router, _ chan struct{}, p *conformance.Peer) string {
				if _, err := ws.Revoke(t.Context(), wsroute.Revocation{IssuedBefore: time.Now()}); err != nil {
					t.Error(err)
				}
				e, err := p.Read()
				if err != nil {
					t.Error(err)
				}
				write(t, p, closeFrame(1000, ""))
				return e.String()
			},
			"gone": func(t *testing.T, _ *wsroute.Router, _ chan struct{}, p *conformance.Peer) string {
				_ = p.Conn.Close()
				return ""
			},
		} {
			t.Run(fmt.Sprintf("%s, TLS %t", name, secure), func(t *testing.T) {
				begun, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
				config := quiet()
				config.Limits.ReadAhead = 2
				ws := wsroute.New(depends.New(), config)
				wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
					close(begun)
					defer func() { ended <- context.Cause(ctx) }()
					select {
					case <-goOn:
						return echo(ctx, conn, none{})
					case <-ctx.Done():
						return nil
					}
				}, wsroute.Public)
				var p *conformance.Peer
				if secure {
					p = overTLS(t, ws)
				} else {
					p = open(t, wstest.StartLoopback(t, ws))
				}
				for i := range 300 {
					write(t, p, textFrame(fmt.Sprint(i)))
				}
				<-begun
				got := do(t, ws, goOn, p)
				want := map[string]string{"read on": `close 1000 ""`, "ended": `close 3000 "revoked"`}[name]
				if got != want {
					t.Errorf("the peer reads %s", got)
				}
				select {
				case err := <-ended:
					if name == "gone" && !errors.Is(err, wsroute.ErrPeerLost) {
						t.Errorf("the cause is %v", err)
					}
				case <-time.After(10 * time.Second):
					t.Error("the handler's context goes on after 10 s")
				}
			})
		}
	}
}
