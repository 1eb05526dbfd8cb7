package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/net/nettest"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// streams returns a byte stream, its connection and its peer.
func streams(t *testing.T) (net.Conn, *wsroute.Conn[[]byte, []byte], *wstest.Peer[[]byte, []byte]) {
	t.Helper()
	conn, peer := wstest.Pipe[[]byte, []byte](t)
	return wsroute.NetConn(t.Context(), conn), conn, peer
}

// TestNetConnIsANetConn, by the questions that golang.org/x/net has for every implementation:
// two streams, whose peers pass on to each other what they get.
func TestNetConnIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		var peers [2]*websocket.Conn
		var ends [2]net.Conn
		for i := range peers {
			conn, peer := wstest.Pipe[[]byte, []byte](t)
			peers[i], ends[i] = peer.WebSocket, wsroute.NetConn(t.Context(), conn)
		}
		for i := range peers {
			go relay(peers[i], peers[1-i])
		}
		return ends[0], ends[1], func() {
			_ = ends[0].Close()
			_ = ends[1].Close()
		}, nil
	})
}

// relay sends to one peer what another gets, its end too.
func relay(from, to *websocket.Conn) {
	defer from.Close()
	for {
		kind, data, err := from.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			_ = to.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(closed.Code, closed.Text), time.Now().Add(time.Second))
		}
		if err != nil || to.WriteMessage(kind, data) != nil {
			return
		}
	}
}

// TestNetConnKeepsWhatAReadLeaves, and ends with io.EOF behind the last byte.
func TestNetConnKeepsWhatAReadLeaves(t *testing.T) {
	for code, want := range map[int]error{1000: io.EOF, 1001: io.EOF, 4000: &wsroute.CloseError{Code: 4000, Reason: "enough"}} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			stream, _, peer := streams(t)
			peer.Send([]byte("hello"))
			peer.Send(nil)
			peer.Send([]byte(" world"))
			reason := ""
			if code == 4000 {
				reason = "enough"
			}
			go peer.Close(code, reason)
			var got []byte
			var err error
			for b := make([]byte, 2); err == nil; {
				var n int
				n, err = stream.Read(b)
				got = append(got, b[:n]...)
			}
			if string(got) != "hello world" || err.Error() != want.Error() {
				t.Errorf("got %q, %v", got, err)
			}
			if n, err := stream.Write([]byte("late")); n != 0 || errors.Is(err, io.EOF) || !errors.As(err, new(*wsroute.CloseError)) {
				t.Errorf("a write behind it: %d, %v", n, err)
			}
		})
	}
}

// TestNetConnCopiesWhatIsWritten: b is the caller's again.
func TestNetConnCopiesWhatIsWritten(t *testing.T) {
	stream, _, peer := streams(t)
	b := []byte("first")
	for _, text := range []string{"first", "other"} {
		copy(b, text)
		if n, err := stream.Write(b); n != 5 || err != nil {
			t.Fatal(n, err)
		}
	}
	copy(b, "later")
	if one, two := string(peer.Receive()), string(peer.Receive()); one != "first" || two != "other" {
		t.Errorf("got %q, %q", one, two)
	}
}

// TestNetConnTakesNoText: it is no part of the stream, and nothing else receives.
func TestNetConnTakesNoText(t *testing.T) {
	stream, _, peer := streams(t)
	_ = peer.WebSocket.WriteMessage(websocket.TextMessage, []byte("text"))
	_, err := stream.Read(make([]byte, 4))
	if bad, ok := errors.AsType[*wsroute.MessageError](err); !ok || bad.Reason != "text_not_accepted" {
		t.Errorf("got %v", err)
	}
	if got := peer.Closed(); got.Code != 1003 || got.Reason != "text_not_accepted" {
		t.Errorf("closed with %v", got)
	}
	if _, err := stream.Read(make([]byte, 4)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("then %v", err)
	}
}

// TestNetConnDeadlinesLoseNothing, whether they are there before a read or come during it.
func TestNetConnDeadlinesLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, _, peer := streams(t)
		start, b := time.Now(), make([]byte, 8)
		for _, during := range []bool{false, true} {
			set := func() { _ = stream.SetReadDeadline(time.Now().Add(time.Second)) }
			if during {
				time.AfterFunc(time.Second, set)
			} else {
				set()
			}
			if n, err := stream.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d, %v", n, err)
			}
			peer.Send([]byte("abc"))
			synctest.Wait()
			_ = stream.SetReadDeadline(time.Now().Add(time.Minute))
			if n, err := stream.Read(b); string(b[:n]) != "abc" || err != nil {
				t.Errorf("%q, %v", b[:n], err)
			}
			_ = stream.SetReadDeadline(time.Time{})
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		go func() {
			time.Sleep(10 * time.Second)
			peer.Send([]byte("d"))
		}()
		if n, err := stream.Read(b); string(b[:n]) != "d" || err != nil {
			t.Errorf("without a deadline: %q, %v", b[:n], err)
		}
	})
}

// TestNetConnWaitsForASlowPeer, until a deadline or the end of its context.
func TestNetConnWaitsForASlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := wstest.Pipe[[]byte, []byte](t)
		ctx, cancel := context.WithCancelCause(t.Context())
		stream := wsroute.NetConn(ctx, conn)
		block := []byte(strings.Repeat("x", 64<<10))
		fill := func() (n int, err error) {
			for ; err == nil; n++ {
				_ = stream.SetWriteDeadline(time.Now().Add(time.Second))
				_, err = stream.Write(block)
			}
			return n - 1, err
		}
		sent, err := fill()
		if sent < 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d blocks are queued, then %v", sent, err)
		}
		for range sent {
			if got := peer.Receive(); len(got) != len(block) {
				t.Fatalf("got %d bytes", len(got))
			}
		}
		enough := errors.New("enough")
		cancel(enough)
		synctest.Wait()
		_ = stream.SetDeadline(time.Time{})
		if _, err := stream.Write(block); !errors.Is(err, enough) {
			t.Errorf("write: %v", err)
		}
		if _, err := stream.Read(block); !errors.Is(err, enough) {
			t.Errorf("read: %v", err)
		}
	})
}

// TestNetConnCloses with 1000, and knows both addresses.
func TestNetConnCloses(t *testing.T) {
	stream, conn, peer := streams(t)
	if stream.RemoteAddr() != conn.RemoteAddr() || stream.LocalAddr() == nil || stream.LocalAddr().String() == stream.RemoteAddr().String() {
		t.Errorf("addresses %v and %v", stream.LocalAddr(), stream.RemoteAddr())
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	if got := peer.Closed(); got.Code != 1000 {
		t.Errorf("closed with %v", got)
	}
	_, read := stream.Read(make([]byte, 1))
	_, written := stream.Write([]byte("a"))
	if !errors.Is(read, net.ErrClosed) || !errors.Is(written, net.ErrClosed) {
		t.Errorf("then %v, %v", read, written)
	}
}
