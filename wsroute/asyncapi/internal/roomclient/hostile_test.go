package roomclient_test

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 §1.3
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/wsroute/asyncapi/internal/roomclient"
)

// dialTo connects to a server that is a function: it gets the connection behind a handshake that
// it has read, and may answer by upgrade.
func dialTo(ctx context.Context, serve func(net.Conn, *http.Request)) (*roomclient.Room, error) {
	dialer := &websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer func() { _ = theirs.Close() }()
			if r, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
				serve(theirs, r)
			}
		}()
		return ours, nil
	}}
	return roomclient.DialRoom(ctx, "ws://server", roomclient.RoomParams{Room: "lobby"}, roomclient.Options{Dialer: dialer})
}

// upgrade answers a handshake.
func upgrade(c net.Conn, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
}

// untilClosed waits for the client to close a connection of which nothing is read.
func untilClosed(t *testing.T) (serve func(net.Conn, *http.Request), end func()) {
	t.Helper()
	over := make(chan struct{})
	return func(net.Conn, *http.Request) { <-over }, func() { close(over) }
}

// TestADialThatIsCancelled: the server never answers.
func TestADialThatIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve, end := untilClosed(t)
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := dialTo(ctx, serve)
			done <- err
		}()
		synctest.Wait()
		begun := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || time.Since(begun) > 0 {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
	})
}

// TestACookieThatIsTwo: the value of a parameter does not make another cookie.
func TestACookieThatIsTwo(t *testing.T) {
	theme := "dark; session=stolen"
	_, err := roomclient.DialRoom(t.Context(), "ws://127.0.0.1:1", roomclient.RoomParams{Theme: &theme}, roomclient.Options{})
	if err == nil || !strings.Contains(err.Error(), "cookie theme") {
		t.Errorf("got %v", err)
	}
}

// TestAServerThatDoesNotRead: ctx ends a request that is being written, and one behind it; Close
// takes no longer than it says.
func TestAServerThatDoesNotRead(t *testing.T) {
	for name, ends := range map[string]func(c *roomclient.Room, cancel func()){
		"cancelled": func(_ *roomclient.Room, cancel func()) { cancel() },
		"closed":    func(c *roomclient.Room, _ func()) { _ = c.Close() },
		"nothing":   func(*roomclient.Room, func()) {},
	} {
		synctest.Test(t, func(t *testing.T) {
			wait, end := untilClosed(t)
			defer end()
			c, err := dialTo(t.Context(), func(conn net.Conn, r *http.Request) {
				upgrade(conn, r)
				wait(conn, r)
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error)
			for range 3 {
				go func() {
					_, err := c.Say(ctx, roomclient.Say{Text: "hi"})
					done <- err
				}()
			}
			synctest.Wait()
			begun := time.Now()
			ends(c, cancel)
			for range 3 {
				if err := <-done; err == nil {
					t.Errorf("%s: no error", name)
				}
			}
			most := map[string]time.Duration{"closed": 2 * time.Second, "nothing": 30 * time.Second}[name]
			if took := time.Since(begun); took > most {
				t.Errorf("%s: after %v", name, took)
			}
			_ = c.Close()
		})
	}
}

// TestAnAnswerLikeARenewal: it has members that are usher's own in other messages.
func TestAnAnswerLikeARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := dialTo(t.Context(), func(conn net.Conn, r *http.Request) {
			upgrade(conn, r)
			_, _ = conn.Read(make([]byte, 1024))
			text := `{"type":"said","expires":"tomorrow","ref":1,"REF":5,"id":7}`
			_, _ = fmt.Fprintf(conn, "\x81%c%s", len(text), text)
			_, _ = conn.Read(make([]byte, 1024))
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := c.Say(ctx, roomclient.Say{Text: "hi"}); err != nil || got.Id != 7 {
			t.Errorf("got %+v, %v", got, err)
		}
		_ = c.Close()
	})
}

// TestAProxyThatRefuses: its own body does not change the status.
func TestAProxyThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := dialTo(t.Context(), func(conn net.Conn, _ *http.Request) {
			body := `{"status":3,"reason":"quota"}`
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 429 No\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		})
		if refused, ok := errors.AsType[*roomclient.Refused](err); !ok || refused.Status != 429 || refused.Reason != "quota" {
			t.Errorf("got %v", err)
		}
	})
}

// TestAMessageBehindTheClose: what is sent while the connection closes does not change its code.
func TestAMessageBehindTheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := dialTo(t.Context(), func(conn net.Conn, r *http.Request) {
			upgrade(conn, r)
			for err := error(nil); err == nil; {
				_, err = conn.Read(make([]byte, 1024))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = c.Close() }()
		synctest.Wait()
		err = c.Typing(t.Context(), roomclient.RoomTyping{})
		if closed, ok := errors.AsType[*roomclient.Closed](err); !ok || closed.Code != 1000 {
			t.Errorf("got %v", err)
		}
	})
}

// TestARequestWithinAStream: what gets the parts may ask something else.
func TestARequestWithinAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		var asked []string
		c := s.open(t, s.options("", time.Hour, &asked))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Ask(ctx, roomclient.AskReceived{Question: "a b c d"}, func(part roomclient.Token) error {
			_, err := c.Say(ctx, roomclient.Say{Text: part.Part})
			return err
		})
		if err != nil {
			t.Error(err)
		}
		_ = c.Close()
	})
}

// TestKeepCloses: nothing is open once it returns.
func TestKeepCloses(t *testing.T) {
	for _, result := range []error{nil, errors.New("enough")} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t)
			var asked []string
			var kept *roomclient.Room
			err := roomclient.Keep(t.Context(), func(ctx context.Context) (*roomclient.Room, error) {
				return s.dial(ctx, s.options("", time.Hour, &asked))
			}, func(_ context.Context, c *roomclient.Room) error {
				kept = c
				return result
			})
			if !errors.Is(err, result) {
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err = kept.Receive(ctx)
			if closed, ok := errors.AsType[*roomclient.Closed](err); !ok || closed.Code != 1000 {
				t.Errorf("got %v", err)
			}
			_ = kept.Close()
		})
	}
}
