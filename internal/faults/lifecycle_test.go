package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
)

// canary is in errors, and must never reach a peer.
const canary = "postgres://secret"

var errInner = errors.New(canary)

// crashes are ways in which code of a program ends.
var crashes = map[string]func(){
	"a string":     func() { panic(canary) },
	"an error":     func() { panic(errInner) },
	"nil":          func() { var p *int; *p = 1 },
	"a rejection":  func() { panic(depends.Unauthorized("Bearer", errInner)) },
	"ErrAbort":     func() { panic(http.ErrAbortHandler) },
	"Goexit":       runtime.Goexit,
	"another type": func() { panic(ticket(1)) },
}

func TestRow25Panics(t *testing.T) {
	for _, place := range []string{"a provider", "the handler", "a cleanup"} {
		for name, crash := range crashes {
			t.Run(name+" in "+place, func(t *testing.T) {
				inFakeTime(t, func(t *testing.T) {
					in := func(here string) {
						if here == place {
							crash()
						}
					}
					var released atomic.Int32
					deps := depends.New()
					depends.Provide(deps, func(ctx context.Context, _ none) (ticket, error) {
						depends.Cleanup(ctx, func(context.Context, error) error { released.Add(1); return nil })
						depends.Cleanup(ctx, func(context.Context, error) error { in("a cleanup"); return nil })
						in("a provider")
						return 1, nil
					})
					w := begin(t, deps, nil, func(context.Context, *conn, struct{ _ ticket }) error {
						in("the handler")
						return nil
					})
					if place == "a provider" {
						if status, _, body := w.refused(); status != 500 || strings.Contains(body, canary) {
							t.Errorf("%d %s", status, body)
						}
					} else if got, want := closed(w.open()), map[string]string{"the handler": "1011 ", "a cleanup": "1000 "}[place]; got != want {
						t.Errorf("closed with %q", got)
					}
					w.stop()
					if released.Load() != 1 {
						t.Errorf("it was released %d times", released.Load())
					}
					if !strings.Contains(w.log.String(), "level=ERROR") {
						t.Errorf("the log says\n%s", w.log)
					}
				})
			})
		}
	}
}

func TestRow26Leaks(t *testing.T) {
	inFakeTime(t, func(t *testing.T) { // which fails if a goroutine is left
		var turn, made, released atomic.Int32
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (ticket, error) {
			made.Add(1)
			depends.Cleanup(ctx, func(context.Context, error) error { released.Add(1); return nil })
			switch turn.Add(1) % 4 {
			case 0:
				return 0, errors.New("refused")
			case 1:
				<-ctx.Done() // until the budget is over
			}
			return 1, ctx.Err()
		})
		w := begin(t, deps, nil, func(ctx context.Context, c *conn, _ struct{ _ ticket }) error { return echo(ctx, c, none{}) })
		for range 250 {
			for _, end := range []func(*memconn.Conn){(*memconn.Conn).Reset, (*memconn.Conn).Vanish, func(c *memconn.Conn) { _ = c.Close() }, func(*memconn.Conn) {}} {
				c := w.dial()
				if answer, err := w.ask(c); err == nil {
					_ = read(answer)
				}
				end(c)
			}
		}
		time.Sleep(time.Minute)
		w.stop()
		if made.Load() != 1000 || released.Load() != 1000 {
			t.Errorf("of %d values %d were released", made.Load(), released.Load())
		}
	})
}

func TestRow30Details(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		deps := depends.New()
		var turn atomic.Int32
		depends.Provide(deps, func(context.Context, none) (ticket, error) {
			switch turn.Add(1) {
			case 1:
				return 0, fmt.Errorf("query: %w", errInner)
			case 2:
				return 0, depends.Unauthorized("Bearer", errInner)
			}
			return 1, nil
		})
		w := begin(t, deps, nil, func(context.Context, *conn, struct{ _ ticket }) error {
			if turn.Load() == 3 {
				return errInner
			}
			return depends.Forbidden("banned", errInner)
		})
		for _, want := range []int{500, 401} {
			if status, header, body := w.refused(); status != want || strings.Contains(body+fmt.Sprint(header), canary) {
				t.Errorf("%d %v %s", status, header, body)
			}
		}
		for _, want := range []string{"1011 ", "3003 banned"} {
			if got := closed(w.open()); got != want {
				t.Errorf("closed with %q", got)
			}
		}
		w.stop()
		if n := strings.Count(w.log.String(), canary); n != 4 {
			t.Errorf("the log has the error %d times:\n%s", n, w.log)
		}
	})
}

func TestRow33ClientGone(t *testing.T) {
	for name, leave := range map[string]func(*memconn.Conn){"FIN": func(c *memconn.Conn) { _ = c.Close() }, "RST": (*memconn.Conn).Reset} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				deps := depends.New()
				over := make(chan error, 2)
				depends.Provide(deps, func(ctx context.Context, _ none) (ticket, error) {
					depends.Cleanup(ctx, func(_ context.Context, cause error) error { over <- cause; return nil })
					<-ctx.Done()
					over <- ctx.Err()
					return 0, ctx.Err()
				})
				w := begin(t, deps, nil, func(context.Context, *conn, struct{ _ ticket }) error { return nil })
				c := w.dial()
				go func() { _, _ = w.ask(c) }() //nolint:bodyclose // there is no answer
				synctest.Wait()
				start := time.Now()
				leave(c)
				if err := <-over; !errors.Is(err, context.Canceled) {
					t.Errorf("the provider's context ended with %v", err)
				}
				if cause := <-over; cause == nil {
					t.Error("the cleanup was told of no cause")
				}
				took(t, start, 0, 0)
			})
		})
	}
}

func TestRow34SlowDependency(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		deps := depends.New()
		depends.Provide(deps, func(context.Context, none) (ticket, error) {
			time.Sleep(time.Hour) // whatever its context says
			return 1, nil
		})
		w := begin(t, deps, nil, func(context.Context, *conn, struct{ _ ticket }) error { return nil })
		start := time.Now()
		if status, header, body := w.refused(); status != 503 || header.Get("Retry-After") == "" || !strings.Contains(body, "timeout") {
			t.Errorf("%d %v %s", status, header, body)
		}
		took(t, start, 5*time.Second, 5*time.Second)
		time.Sleep(time.Hour)
	})
}

func TestRow35Cleanups(t *testing.T) {
	for name, wrong := range map[string]func(context.Context) error{
		"fails":   func(context.Context) error { return errInner },
		"panics":  func(context.Context) error { panic(canary) },
		"is slow": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"exits":   func(context.Context) error { runtime.Goexit(); return nil },
	} {
		for position := range 3 {
			t.Run(fmt.Sprintf("number %d %s", position, name), func(t *testing.T) {
				inFakeTime(t, func(t *testing.T) {
					var order []int
					deps := depends.New()
					depends.Provide(deps, func(ctx context.Context, _ none) (ticket, error) {
						for i := range 3 {
							depends.Cleanup(ctx, func(ctx context.Context, _ error) error {
								order = append(order, i)
								if i == position {
									return wrong(ctx)
								}
								return ctx.Err()
							})
						}
						return 1, nil
					})
					w := begin(t, deps, nil, func(context.Context, *conn, struct{ _ ticket }) error { return nil })
					start := time.Now()
					if got := closed(w.open()); got != "1000 " {
						t.Errorf("closed with %q", got)
					}
					w.stop()
					took(t, start, 0, 5*time.Second)
					if !slices.Equal(order, []int{2, 1, 0}) {
						t.Errorf("the order is %v", order)
					}
				})
			})
		}
	}
}

// lives are what a peer may do while its connection is ended by the server. They
// return what it saw.
var lives = map[string]func(*conformance.Peer) string{
	"goes on sending": func(p *conformance.Peer) string {
		go func() {
			for say(p, text("transfer")) == nil {
				time.Sleep(time.Millisecond)
			}
		}()
		return closed(p)
	},
	"never reads": func(*conformance.Peer) string { return "" },
	"never answers the close": func(p *conformance.Peer) string {
		for {
			if e, err := p.Read(); err != nil || e.Opcode == conformance.Close {
				return ""
			}
		}
	},
	"is in the middle of a message": func(p *conformance.Peer) string {
		_ = say(p, conformance.Frame{Opcode: conformance.Text, Payload: []byte("tran"), More: true})
		return closed(p)
	},
}

// ended runs a server whose connections are ended by end, against each sort of peer:
// nothing is delivered after the moment, and the socket is gone within the bound.
func ended(t *testing.T, deps func() *depends.Graph, want string, why error, end func(*world)) {
	for name, live := range lives {
		t.Run("a peer that "+name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				var over atomic.Bool
				w := begin(t, deps(), &wsroute.Config{Limits: wsroute.Limits{MessageTimeout: time.Hour}}, func(ctx context.Context, c *conn, _ struct{ _ ticket }) error {
					defer context.AfterFunc(ctx, func() { over.Store(true) })()
					for {
						_, err := c.Receive(ctx)
						if err != nil {
							return err
						}
						if over.Load() {
							t.Error("a message was delivered after the end")
						}
					}
				})
				p := w.open()
				synctest.Wait()
				saw := make(chan string, 1)
				go func() { saw <- live(p) }()
				end(w)
				start := time.Now()
				w.caused(why)
				if got := <-saw; got != "" && got != want {
					t.Errorf("it saw %q, not %q", got, want)
				}
				w.stop()
				took(t, start, 0, 5*time.Second)
				_ = p.Conn.Close()
				time.Sleep(time.Second)
			})
		})
	}
}

// lasting provides a ticket that expires after a time, of somebody called ada.
func lasting(d time.Duration) func() *depends.Graph {
	return func() *depends.Graph {
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (ticket, error) {
			depends.Identify(ctx, depends.Identity{Subject: "ada"})
			depends.ValidUntil(ctx, time.Now().Add(d))
			return 1, nil
		})
		return deps
	}
}

func TestRow36Expiry(t *testing.T) {
	ended(t, lasting(time.Minute/4), "3000 token_expired", wsroute.ErrExpired, func(*world) { time.Sleep(time.Minute / 4) })
}

func TestRow37Revocation(t *testing.T) {
	ended(t, lasting(time.Hour), "3000 revoked", wsroute.ErrRevoked, func(w *world) {
		time.Sleep(time.Second)
		if n, err := w.ws.Revoke(w.t.Context(), wsroute.Revocation{Subject: "ada"}); n != 1 || err != nil {
			w.t.Errorf("%d, %v", n, err)
		}
	})
}

func TestRow32Drain(t *testing.T) {
	ended(t, lasting(time.Hour), "1012 server_restart", wsroute.ErrDraining, func(w *world) {
		time.Sleep(time.Second)
		w.halt()
	})
	t.Run("handshakes", func(t *testing.T) {
		inFakeTime(t, func(t *testing.T) {
			deps := depends.New()
			depends.Provide(deps, func(ctx context.Context, _ none) (ticket, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			})
			w := begin(t, deps, nil, func(context.Context, *conn, struct{ _ ticket }) error { return nil })
			in := make(chan int)
			go func() {
				status, _, _ := w.refused()
				in <- status
			}()
			synctest.Wait()
			if _, err := w.ws.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			late, header, _ := w.refused()
			if status := <-in; status != 503 || late != 503 || header.Get("Retry-After") == "" || w.ws.Ready() {
				t.Errorf("one in flight is answered %d, a late one %d %v", status, late, header)
			}
		})
	})
}
