package wstest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// timeout bounds everything that waits.
const timeout = 10 * time.Second

// must fails the test if there is an error; what says where it comes from.
func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("wstest: %s: %v", what, err)
	}
}

// Option adds something to a handshake request.
type Option interface{ apply(http.Header) }

type headerOption struct{ name, value string }

func (o headerOption) apply(h http.Header) { h.Add(o.name, o.value) }

// Header adds a header line, such as Authorization or Origin.
func Header(name, value string) Option { return headerOption{name, value} }

// Cookie adds a cookie.
func Cookie(name, value string) Option {
	return headerOption{"Cookie", (&http.Cookie{Name: name, Value: value}).String()}
}

// Subprotocol offers a subprotocol.
func Subprotocol(name string) Option { return headerOption{"Sec-WebSocket-Protocol", name} }

// Peer is the client's end of a connection whose handler has a
// *wsroute.Conn[Recv, Send]: it sends Recv and receives Send.
type Peer[Recv, Send any] struct {
	// WebSocket is the connection itself, for what the methods do not say.
	WebSocket *websocket.Conn
	// Response is the 101.
	Response *http.Response
	// Timeout is how long Receive and Closed wait: 10 s, unless it is set.
	Timeout time.Duration

	t       testing.TB
	pending chan frame // that is read already, or nil
	unread  []frame    // that came before the answers to Ask
	asked   int
}

// frame is a message that was read, or the end.
type frame struct {
	kind int
	data []byte
	err  error
}

// Dial connects to a path, which may have a query. A refusal fails the test.
//
// Dial returns with the 101; the OnOpen of a wsroute.HandleMessages route may not have run
// yet. Before another peer sends to a room, receive what OnOpen sends, or [Ask] something:
// messages begin after it. A "ping" does not do, it is answered at once.
func Dial[Recv, Send any](
	t testing.TB, s *Server, path string, options ...Option,
) *Peer[Recv, Send] {
	t.Helper()
	ws, response, err := dial(s, path, options) //nolint:bodyclose // gorilla has read it into memory
	if err != nil {
		if response != nil {
			body, _ := io.ReadAll(response.Body)
			t.Fatalf("wstest: %s was refused: %s %s", path, response.Status, body)
		}
		t.Fatalf("wstest: %s: %v", path, err)
	}
	p := &Peer[Recv, Send]{WebSocket: ws, Response: response, Timeout: timeout, t: t}
	t.Cleanup(func() { // with a word, so that the server's log has no warning
		_ = p.sendClose(websocket.CloseNormalClosure, "")
		_ = ws.Close()
	})
	return p
}

func dial(s *Server, path string, options []Option) (*websocket.Conn, *http.Response, error) {
	header := http.Header{}
	for _, o := range options {
		o.apply(header)
	}
	d := websocket.Dialer{NetDialContext: s.dial, HandshakeTimeout: timeout}
	return d.Dial("ws://"+s.Host+path, header)
}

// Send sends a message, as the type says: see wsroute.Conn.
func (p *Peer[Recv, Send]) Send(v Recv) {
	p.t.Helper()
	kind, data := websocket.TextMessage, []byte(nil)
	switch m := any(v).(type) {
	case string:
		data = []byte(m)
	case []byte:
		kind, data = websocket.BinaryMessage, m
	case wsroute.Message:
		data = m.Data
		if m.Binary {
			kind = websocket.BinaryMessage
		}
	default:
		var err error
		data, err = json.Marshal(v)
		must(p.t, "Send", err)
	}
	p.write(kind, data)
}

func (p *Peer[Recv, Send]) write(kind int, data []byte) {
	p.t.Helper()
	_ = p.WebSocket.SetWriteDeadline(time.Now().Add(timeout))
	must(p.t, "Send", p.WebSocket.WriteMessage(kind, data))
}

// Receive returns the next message. The end of the connection fails the test, as
// does a message of another kind than Send.
func (p *Peer[Recv, Send]) Receive() Send {
	p.t.Helper()
	var v Send
	f := p.receive("Receive")
	data, binary := f.data, f.kind == websocket.BinaryMessage
	switch into := any(&v).(type) {
	case *wsroute.Message:
		*into = wsroute.Message{Binary: binary, Data: data}
		return v
	case *[]byte:
		*into = data
		binary = !binary
	case *string:
		*into = string(data)
	default:
		if err := json.Unmarshal(data, &v); err != nil {
			p.t.Fatalf("wstest: Receive: %q: %v", data, err)
		}
	}
	if binary {
		p.t.Fatalf("wstest: Receive: a message of kind %d, which is no %T", f.kind, v)
	}
	return v
}

// receive returns what comes next, and says where a test fails for which nothing does.
func (p *Peer[Recv, Send]) receive(what string) frame {
	p.t.Helper()
	f, ok := p.next(p.Timeout)
	if !ok {
		p.t.Fatalf("wstest: %s: nothing came within %v", what, p.Timeout)
	}
	must(p.t, what, f.err)
	return f
}

// next returns what the server sends next, unless nothing comes for a while: then a later call
// gets it.
func (p *Peer[Recv, Send]) next(wait time.Duration) (f frame, ok bool) {
	if len(p.unread) > 0 {
		f, p.unread = p.unread[0], p.unread[1:]
		return f, true
	}
	if p.pending == nil {
		pending := make(chan frame, 1)
		p.pending = pending
		go func() {
			kind, data, err := p.WebSocket.ReadMessage()
			pending <- frame{kind, data, err}
		}()
	}
	select {
	case f = <-p.pending:
		p.pending = nil
		return f, true
	case <-time.After(wait):
		return f, false
	}
}

// NothingSent fails the test if the server sends or closes anything for a while, which a
// synctest bubble does not wait for. Pings are answered meanwhile.
func (p *Peer[Recv, Send]) NothingSent(wait time.Duration) {
	p.t.Helper()
	if f, ok := p.next(wait); ok {
		p.t.Fatalf("wstest: NothingSent: %q came, %v", f.data, f.err)
	}
}

// Close sends a close frame and waits for the server's answer.
func (p *Peer[Recv, Send]) Close(code int, reason string) *wsroute.CloseError {
	p.t.Helper()
	must(p.t, "Close", p.sendClose(code, reason))
	return p.Closed()
}

func (p *Peer[Recv, Send]) sendClose(code int, reason string) error {
	data, deadline := websocket.FormatCloseMessage(code, reason), time.Now().Add(timeout)
	return p.WebSocket.WriteControl(websocket.CloseMessage, data, deadline)
}

// Closed waits for the server to close, skipping messages, and returns its code
// and reason; 1006 stands for a connection that ended without a close frame.
func (p *Peer[Recv, Send]) Closed() *wsroute.CloseError {
	p.t.Helper()
	until := time.Now().Add(p.Timeout)
	for {
		f, ok := p.next(time.Until(until))
		if !ok {
			p.t.Fatalf("wstest: the connection did not close within %v", p.Timeout)
		}
		if closed, ok := errors.AsType[*websocket.CloseError](f.err); ok {
			return &wsroute.CloseError{Code: closed.Code, Reason: closed.Text}
		}
		if f.err != nil {
			return &wsroute.CloseError{Code: websocket.CloseAbnormalClosure, Reason: f.err.Error()}
		}
	}
}

// Refusal is an answer other than 101.
type Refusal struct {
	Status int
	Header http.Header
	Body   []byte
	// Problem is the body, if it was a problem document (RFC 9457).
	Problem Problem
}

// Problem is the body of a refusal.
type Problem struct {
	Type   string               `json:"type"`
	Title  string               `json:"title"`
	Status int                  `json:"status"`
	Detail string               `json:"detail"`
	Reason string               `json:"reason"`
	Code   int                  `json:"code"`
	Errors []depends.ParamError `json:"errors"`
}

// Refused connects to a path that must refuse, and returns the refusal. A
// connection that opens fails the test.
func Refused(t testing.TB, s *Server, path string, options ...Option) *Refusal {
	t.Helper()
	ws, response, err := dial(s, path, options)
	if err == nil {
		_ = ws.Close()
		t.Fatalf("wstest: %s was not refused", path)
	}
	if response == nil {
		t.Fatalf("wstest: %s got no answer: %v", path, err)
	}
	return refusal(t, response)
}

// Get sends a plain GET, which is how a page asks a route with wsroute.Diagnose
// why it refuses.
func Get(t testing.TB, s *Server, path string, options ...Option) *Refusal {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Host+path, nil)
	must(t, path, err)
	for _, o := range options {
		o.apply(r.Header)
	}
	response, err := s.Client().Do(r)
	must(t, path, err)
	return refusal(t, response)
}

func refusal(t testing.TB, response *http.Response) *Refusal {
	t.Helper()
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	r := &Refusal{Status: response.StatusCode, Header: response.Header, Body: body}
	if response.Header.Get("Content-Type") == "application/problem+json" {
		must(t, "the problem document is no JSON", json.Unmarshal(body, &r.Problem))
	}
	return r
}

// Pipe returns a connection to call a handler with, and its peer. Both end with
// the test.
func Pipe[Recv, Send any](t testing.TB) (*wsroute.Conn[Recv, Send], *Peer[Recv, Send]) {
	t.Helper()
	type conn = wsroute.Conn[Recv, Send]
	conns := make(chan *conn, 1)
	r := wsroute.New(depends.New(), nil)
	wsroute.Handle(r, "/", func(ctx context.Context, c *conn, _ struct{}) error {
		conns <- c
		<-ctx.Done()
		return nil
	}, wsroute.Public)
	peer := Dial[Recv, Send](t, Start(t, r), "/")
	return <-conns, peer
}
