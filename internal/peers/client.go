package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

// text is as long as makes a message of 64 bytes of {"type":"say","text":"…"}.
var text = strings.Repeat("x", 64-len(`{"type":"say","text":""}`))

// sign makes a token that has these claims.
func sign(secret string, claims jwt.MapClaims) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
}

// goodClaims are those that every server accepts.
func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
}

// forged is a token with another last letter but four: of a signature that is not the token's.
func forged(token string) string {
	at := len(token) - 5
	other := "A"
	if token[at] == 'A' {
		other = "B"
	}
	return token[:at] + other + token[at+1:]
}

// dial asks for a room, as a page of an origin would. status is 0 if there was no answer.
func dial(ctx context.Context, url, origin string) (conn *websocket.Conn, status int, err error) {
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	conn, answer, err := dialer.DialContext(ctx, url, http.Header{"Origin": {origin}})
	if answer != nil {
		status = answer.StatusCode
		err = errors.Join(err, answer.Body.Close())
	}
	if err == nil {
		err = conn.NetConn().SetDeadline(time.Now().Add(patience))
	}
	return conn, status, err
}

// enter does so as a page of the server's own origin, with a token.
func enter(ctx context.Context, addr, token string) (*websocket.Conn, int, error) {
	return dial(ctx, "ws://"+addr+"/ws/rooms/lobby?token="+token, "http://"+addr)
}

// accepted is a connection from its beginning to the end of its closing handshake.
func accepted(ctx context.Context, addr, token string) error {
	conn, _, err := enter(ctx, addr, token)
	if err != nil {
		return err
	}
	return leave(conn)
}

// leave closes with 1000, and waits until the server has answered and has closed the socket.
func leave(conn *websocket.Conn) error {
	defer func() { _ = conn.Close() }()
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(patience)); err != nil {
		return err
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		return fmt.Errorf("instead of a close frame: %w", err)
	}
	if _, err := conn.NetConn().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("instead of the end of the connection: %w", err)
	}
	return nil
}

// refused is a handshake that is refused with 401 or 403.
func refused(ctx context.Context, addr, token string) error {
	conn, status, err := enter(ctx, addr, token)
	switch {
	case err == nil:
		return errors.Join(errors.New("a bad token was accepted"), conn.Close())
	case !errors.Is(err, websocket.ErrBadHandshake):
		return err
	case status != http.StatusUnauthorized && status != http.StatusForbidden:
		return fmt.Errorf("a bad token is answered %d", status)
	}
	return nil
}

// reply is what a server says.
type reply struct{ Type, From, Text string }

// echo says something so many times, and hears the answer each time.
func echo(conn *websocket.Conn, times int) error {
	say := []byte(`{"type":"say","text":"` + text + `"}`)
	for range times {
		if err := conn.WriteMessage(websocket.TextMessage, say); err != nil {
			return err
		}
		_, data, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		var got reply
		if err := json.Unmarshal(data, &got); err != nil || got != (reply{"said", "alice", text}) {
			return fmt.Errorf("the answer is %q", data)
		}
	}
	return nil
}

// talkers is how many connections talk at once, and workers how many clients connect.
const (
	talkers = 8
	workers = 4
)

// spread runs work n times from some goroutines, and stops them at the first error.
func spread(ctx context.Context, n, workers int, work func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < n && ctx.Err() == nil; i += workers {
				if err := work(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// open opens so many connections.
func open(ctx context.Context, addr, token string, n int) ([]*websocket.Conn, error) {
	all := make([]*websocket.Conn, n)
	err := spread(ctx, n, workers, func(ctx context.Context, i int) (err error) {
		all[i], _, err = enter(ctx, addr, token)
		return err
	})
	if err != nil {
		closeAll(all)
		return nil, err
	}
	return all, nil
}

func closeAll(conns []*websocket.Conn) {
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
}
