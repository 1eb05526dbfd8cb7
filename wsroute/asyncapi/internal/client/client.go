// Package client is the part of a generated Go client that is the same for all documents: package
// asyncapi embeds this file, and writes the types of a document behind it.
package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Options are what a connection needs beside its parameters. The zero value is usable for a
// channel without credentials.
type Options struct {
	// Credential returns what the channel asks for. It is called for each connection, for each
	// renewal, and once more if the server has refused what it returned.
	Credential func(ctx context.Context, ask Ask) (Credential, error)
	// Header is sent with the handshake.
	Header http.Header
	// Dialer connects. By default, websocket.DefaultDialer.
	Dialer *websocket.Dialer
}

// Ask says which credential is wanted.
type Ask struct {
	Scheme string // as the document names it
	Why    string // "connect", "renew", or "rejected": the last one was refused
}

// Credential is a secret, and where it is put.
type Credential struct {
	In      string // one of the places that the document names; empty for its first
	Value   string
	Expires time.Time // the connection is renewed before; zero for never
}

// Refused is a handshake that the server has refused.
type Refused struct {
	Status     int
	Reason     string
	Detail     string
	Errors     []FieldError
	RetryAfter time.Duration
}

// Error says the status and the reason.
func (r *Refused) Error() string {
	return strings.TrimSpace(fmt.Sprintf("refused with %d %s %s", r.Status, r.Reason, r.Detail))
}

// FieldError is what is wrong with a parameter or a member.
type FieldError struct {
	Loc   []any  `json:"loc"`
	Code  string `json:"code"`
	Param string `json:"param"`
}

// Error is the answer to a message that the server could not answer.
type Error struct {
	Reason     string       `json:"reason"`
	Detail     string       `json:"detail"`
	Errors     []FieldError `json:"errors"`
	RetryAfter int          `json:"retry_after"` // in seconds
}

// Error returns the reason and the detail.
func (e *Error) Error() string { return strings.TrimSpace(e.Reason + " " + e.Detail) }

// Closed is the end of a connection.
type Closed struct {
	Code   int // 1006 if the connection was lost
	Reason string
	// Reconnect is "never", "now" with a new credential, or "later".
	Reconnect string
	// Sent says that a message went out before: the server may have handled it.
	Sent bool
}

// Error returns the code and the reason.
func (c *Closed) Error() string {
	return strings.TrimSpace(fmt.Sprintf("closed with %d %s", c.Code, c.Reason))
}

// Silence is how long nothing may come before the server is pinged, and patience how long it then
// has to answer.
const (
	silence  = 20 * time.Second
	patience = 10 * time.Second
)

// channel is what the document says of a channel.
type channel struct {
	path    string // with {room} for a parameter
	member  string // that holds the type; empty for a channel of one type
	refs    bool   // messages have one
	renews  bool
	schemes []scheme
	speaks  []string // subprotocols
	closes  []closing
	decode  func(name string, data []byte) (any, error)
}

type scheme struct {
	name     string
	optional bool
	sources  []source
}

type source struct{ in, name, prefix string }

type closing struct {
	code              int
	reason, reconnect string
}

// params are those of a request, by their places.
type params struct {
	path    map[string]string
	query   url.Values
	header  http.Header
	cookies []*http.Cookie
}

// conn is an open connection.
type conn struct {
	channel *channel
	options Options
	ws      *websocket.Conn
	events  chan any
	done    chan struct{}
	expires time.Time

	writing chan struct{} // has an item while somebody writes

	mu      sync.Mutex
	ended   *Closed
	lastRef int64
	waiting map[int64]*request
}

// request is a message whose answer is waited for.
type request struct {
	answers chan answer
	over    chan struct{}
}

// answer is one of the messages with the ref of a request.
type answer struct {
	name string
	data []byte
}

func dial(ctx context.Context, base string, ch *channel, p params, options Options) (*conn, error) {
	c, err := connect(ctx, base, ch, p, options, "connect")
	refused, ok := errors.AsType[*Refused](err)
	if ok && refused.Status == http.StatusUnauthorized && options.Credential != nil && len(ch.schemes) > 0 {
		return connect(ctx, base, ch, p, options, "rejected")
	}
	return c, err
}

func connect(
	ctx context.Context, base string, ch *channel, p params, options Options, why string,
) (*conn, error) {
	c := &conn{
		channel: ch, options: options, events: make(chan any, 1024), done: make(chan struct{}),
		writing: make(chan struct{}, 1), waiting: map[int64]*request{},
	}
	target, header, err := c.target(ctx, base, p, why)
	if err != nil {
		return nil, err
	}
	dialer := options.Dialer
	if dialer == nil {
		dialer = websocket.DefaultDialer
	}
	own := *dialer
	own.Subprotocols = slices.Concat(own.Subprotocols, ch.speaks, header["Sec-Websocket-Protocol"])
	header.Del("Sec-WebSocket-Protocol")
	stop := func() bool { return true }
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		// Of an open connection, gorilla minds the deadline of ctx alone.
		stop = context.AfterFunc(ctx, func() { _ = info.Conn.SetDeadline(time.Now()) })
	}})
	ws, response, err := own.DialContext(traced, target, header)
	if !stop() {
		if ws != nil {
			_ = ws.Close()
		}
		return nil, &unreachable{context.Cause(ctx)}
	}
	if err != nil {
		return nil, refusal(response, err)
	}
	c.ws = ws
	go c.read()
	go c.keep()
	return c, nil
}

// target puts parameters and credentials where they belong.
func (c *conn) target(
	ctx context.Context, base string, p params, why string,
) (target string, header http.Header, err error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return "", nil, fmt.Errorf("%q is no address of a server: write one such as wss://example.com", base)
	}
	path := c.channel.path
	for name, value := range p.path {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + path
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return "", nil, err
	}
	query := url.Values{}
	for name, values := range p.query {
		query[name] = values
	}
	header = http.Header{}
	for _, h := range []http.Header{c.options.Header, p.header} {
		for name, values := range h {
			header[name] = slices.Clone(values)
		}
	}
	cookies := p.cookies
	for _, s := range c.channel.schemes {
		if c.options.Credential == nil {
			break
		}
		cred, err := c.options.Credential(ctx, Ask{s.name, why})
		if err != nil {
			return "", nil, err
		}
		if cred.Value == "" && s.optional {
			continue
		}
		c.expires = cred.Expires
		from := s.sources[0]
		for _, other := range s.sources {
			if cred.In == other.in {
				from = other
				break
			}
		}
		switch from.in {
		case "query":
			query.Set(from.name, cred.Value)
		case "cookie":
			cookies = append(cookies, &http.Cookie{Name: from.name, Value: cred.Value})
		case "subprotocol":
			header["Sec-Websocket-Protocol"] = offers(from, cred.Value)
		default:
			header.Set(from.name, strings.TrimSpace(from.prefix+" "+cred.Value))
		}
	}
	for _, cookie := range cookies {
		if strings.Contains(cookie.Value, ";") {
			return "", nil, fmt.Errorf("a ; ends the value of the cookie %s", cookie.Name)
		}
		header.Add("Cookie", cookie.Name+"="+cookie.Value)
	}
	u.RawQuery = query.Encode()
	return u.String(), header, nil
}

// offers are the subprotocols that carry a token, in base64url unless its characters may stand
// in one.
func offers(s source, token string) []string {
	if s.prefix != "" {
		return []string{s.prefix + token}
	}
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' ||
			strings.ContainsRune(".-_~", r)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return !plain(r) }) {
		return []string{"base64url.bearer.authorization." + s.name + "." +
			base64.RawURLEncoding.EncodeToString([]byte(token))}
	}
	return []string{"bearer", token}
}

// refusal is the error of a handshake that was answered, or err.
func refusal(response *http.Response, err error) error {
	if response == nil || !errors.Is(err, websocket.ErrBadHandshake) {
		return &unreachable{err}
	}
	r := &Refused{}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10)) // gorilla has kept some
	_ = json.Unmarshal(body, r)                                  // a proxy may have answered
	r.Status = response.StatusCode
	if seconds, err := time.ParseDuration(response.Header.Get("Retry-After") + "s"); err == nil {
		r.RetryAfter = seconds
	}
	return r
}

// unreachable is a server that has not answered.
type unreachable struct{ error }

func (u *unreachable) Unwrap() error { return u.error }

// read takes what comes until the connection ends.
func (c *conn) read() {
	alive := func() { _ = c.ws.SetReadDeadline(time.Now().Add(silence + patience)) }
	ping, pong := c.ws.PingHandler(), c.ws.PongHandler()
	c.ws.SetPingHandler(func(data string) error { alive(); return ping(data) })
	c.ws.SetPongHandler(func(data string) error { alive(); return pong(data) })
	for {
		alive()
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			c.end(err)
			return
		}
		c.take(kind, data)
	}
}

// take gives a message to the request that it answers, or to Receive.
func (c *conn) take(kind int, data []byte) {
	name, ref := "", int64(0)
	if kind == websocket.TextMessage && c.channel.member != "" {
		members := map[string]json.RawMessage{}
		_ = json.Unmarshal(data, &members) // what has no type is nobody's
		_ = json.Unmarshal(members[c.channel.member], &name)
		_ = json.Unmarshal(members["ref"], &ref) // one that is a text is nobody's
	}
	if ref > 0 && c.channel.refs {
		c.mu.Lock()
		waiting := c.waiting[ref]
		c.mu.Unlock()
		if waiting != nil { // or it has given up
			select {
			case waiting.answers <- answer{name, data}:
			case <-waiting.over:
			case <-c.done:
			}
		}
		return
	}
	event, err := c.channel.decode(name, data)
	if err != nil {
		event = unreadable{err}
	}
	select {
	case c.events <- event:
	case <-c.done:
	}
}

// end ends the connection for all who wait.
func (c *conn) end(err error) {
	closed := &Closed{Code: websocket.CloseAbnormalClosure}
	if e, ok := errors.AsType[*websocket.CloseError](err); ok {
		closed.Code, closed.Reason = e.Code, e.Text
	}
	closed.Reconnect = c.channel.reconnect(closed.Code, closed.Reason)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return
	}
	c.ended = closed
	close(c.done)
	_ = c.ws.Close()
}

// reconnect says what follows a close: by code and reason, then by code alone.
func (ch *channel) reconnect(code int, reason string) string {
	for _, wanted := range []string{reason, ""} {
		for _, end := range ch.closes {
			if end.code == code && end.reason == wanted {
				return end.reconnect
			}
		}
	}
	if code >= 4000 {
		return "never"
	}
	return "later"
}

// keep pings in silence, and renews what is about to expire.
func (c *conn) keep() {
	pings := time.NewTicker(silence)
	defer pings.Stop()
	for {
		renewal := time.NewTimer(c.untilRenewal())
		select {
		case <-c.done:
			renewal.Stop()
			return
		case <-pings.C:
			_ = c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience))
		case <-renewal.C:
			ctx, cancel := context.WithTimeout(context.Background(), silence)
			if err := c.renew(ctx); err != nil {
				c.expires = time.Time{} // the connection ends with its credential
			}
			cancel()
		}
		renewal.Stop()
	}
}

// untilRenewal is a tenth of the rest, and a second or longer, before the credential expires.
func (c *conn) untilRenewal() time.Duration {
	if !c.channel.renews || c.expires.IsZero() || c.options.Credential == nil {
		return 1 << 62
	}
	rest := time.Until(c.expires)
	return max(rest-max(rest/10, time.Second), time.Second)
}

func (c *conn) renew(ctx context.Context) error {
	cred, err := c.options.Credential(ctx, Ask{c.channel.schemes[0].name, "renew"})
	if err != nil {
		return err
	}
	data, err := c.ask(ctx, "renew", map[string]string{"token": cred.Value}, nil)
	if err != nil {
		return err
	}
	var renewed struct {
		Expires time.Time `json:"expires"`
	}
	_ = json.Unmarshal(data, &renewed) // null is never
	if c.expires = renewed.Expires; c.expires.IsZero() {
		c.expires = cred.Expires
	}
	return nil
}

// encoded puts the type and the ref in front of the members of a message.
func (c *conn) encoded(name string, ref int64, message any) ([]byte, error) {
	data, err := json.Marshal(message)
	if err != nil || name == "" {
		return data, err
	}
	head := fmt.Sprintf("{%q:%q", c.channel.member, name)
	if ref > 0 {
		head += fmt.Sprintf(`,"ref":%d`, ref)
	}
	if members := bytes.TrimPrefix(data, []byte("{")); len(members) > 1 {
		return append([]byte(head+","), members...), nil
	}
	return []byte(head + "}"), nil
}

// send writes a message that has no answer.
func (c *conn) send(ctx context.Context, name string, message any) error {
	data, err := c.encoded(name, 0, message)
	if err != nil {
		return err
	}
	return c.write(ctx, websocket.TextMessage, data)
}

func (c *conn) write(ctx context.Context, kind int, data []byte) error {
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.done:
		return c.closed(false)
	}
	defer func() { <-c.writing }()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	deadline := time.Now().Add(silence + patience)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	_ = c.ws.SetWriteDeadline(deadline)
	// A server that does not read makes a write wait. The next write sets its own deadline.
	stop := context.AfterFunc(ctx, func() { _ = c.ws.NetConn().SetWriteDeadline(time.Now()) })
	defer stop()
	if err := c.ws.WriteMessage(kind, data); err != nil {
		if !errors.Is(err, websocket.ErrCloseSent) { // then read learns of the code
			c.end(err)
		}
		return c.closed(false)
	}
	return nil
}

func (c *conn) closed(sent bool) error {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	closed := *c.ended
	closed.Sent = sent
	return &closed
}

// ask sends a message and waits for its answer; delta gets what comes before. An end of ctx
// cancels it.
func (c *conn) ask(
	ctx context.Context, name string, message any,
	delta func(name string, data []byte) (bool, error),
) ([]byte, error) {
	r := &request{make(chan answer), make(chan struct{})}
	if delta != nil {
		r.answers = make(chan answer, cap(c.events)) // delta may ask, too
	}
	defer close(r.over)
	c.mu.Lock()
	c.lastRef++
	ref := c.lastRef
	c.waiting[ref] = r
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, ref)
	}()
	data, err := c.encoded(name, ref, message)
	if err == nil {
		err = c.write(ctx, websocket.TextMessage, data)
	}
	if err != nil {
		return nil, err
	}
	for {
		select {
		case a := <-r.answers:
			if a.name == "error" {
				failed := &Error{}
				_ = json.Unmarshal(a.data, failed) // a reason that is no text is none
				return nil, failed
			}
			more := false
			if delta != nil {
				more, err = delta(a.name, a.data)
			}
			if err != nil {
				go c.cancel(ref)
				return nil, err
			}
			if !more {
				return a.data, nil
			}
		case <-ctx.Done():
			go c.cancel(ref) // it may have to wait
			return nil, context.Cause(ctx)
		case <-c.done:
			return nil, c.closed(true)
		}
	}
}

func (c *conn) cancel(ref int64) {
	data, _ := c.encoded("cancel", ref, struct{}{})
	_ = c.write(context.Background(), websocket.TextMessage, data) // the connection may have ended
}

// receive returns the next message that answers no request, or why there will be none.
func (c *conn) receive(ctx context.Context) (any, error) {
	var event any
	select {
	case event = <-c.events:
	default:
		select {
		case event = <-c.events:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-c.done:
			select { // what came before the end
			case event = <-c.events:
			default:
				return nil, c.closed(false)
			}
		}
	}
	if bad, ok := event.(unreadable); ok {
		return nil, bad.error
	}
	return event, nil
}

// Close closes the connection with 1000 and waits for the server to do the same, but for 2 s at
// most.
func (c *conn) Close() error {
	late := time.NewTimer(2 * time.Second)
	defer late.Stop()
	err := c.ws.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(2*time.Second))
	select {
	case <-c.done:
	case <-late.C:
		c.end(&websocket.CloseError{Code: websocket.CloseNormalClosure})
	}
	if errors.Is(err, websocket.ErrCloseSent) {
		return nil
	}
	return err
}

// Unknown is a message of a type that this client does not know: the server may be newer.
type Unknown struct {
	Type string
	Data json.RawMessage
}

// unreadable is a message that does not fit its type.
type unreadable struct{ error }

// into decodes a message.
func into[T any](data []byte) (any, error) {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("a message that is no %T: %w", v, err)
	}
	return v, nil
}

// Keep connects by dial, calls run for each connection and closes it, as long as the end of one
// says that a client comes back: at once with a new credential, or after a while, from half a
// second to 30 s, the longer the more often, and by chance. It returns nil when run does, and
// otherwise the last error: that of ctx, with what went wrong before, or of Options.Credential, a
// *Refused or a *Closed after which a client stays away, or any other of run.
func Keep[T interface{ Close() error }](
	ctx context.Context, dial func(context.Context) (T, error), run func(context.Context, T) error,
) error {
	failures := 0
	for {
		begun := time.Now()
		c, err := dial(ctx)
		if err == nil {
			err = run(ctx, c)
			_ = c.Close() // it may have ended
			if err == nil {
				return nil
			}
			if time.Since(begun) > 5*time.Second {
				failures = 0
			}
		}
		wait, again := comeback(err, failures)
		if !again && ctx.Err() == nil {
			return err
		}
		failures++
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if cause := context.Cause(ctx); errors.Is(err, cause) {
			return cause
		} else if cause != nil {
			return fmt.Errorf("%w; before that: %w", cause, err)
		}
	}
}

// comeback says whether a client connects again after an error, and when.
func comeback(err error, failures int) (wait time.Duration, again bool) {
	limit := min(time.Second/2<<min(failures, 10), 30*time.Second)
	wait = time.Duration(rand.Int64N(int64(limit) + 1))
	refused, isRefused := errors.AsType[*Refused](err)
	closed, isClosed := errors.AsType[*Closed](err)
	switch {
	case isRefused:
		again = refused.Status == http.StatusTooManyRequests || refused.Status >= 500
		return max(wait, refused.RetryAfter), again
	case isClosed && closed.Reconnect == "now" && failures == 0:
		return 0, true
	case isClosed:
		return wait, closed.Reconnect != "never"
	}
	_, again = errors.AsType[*unreachable](err)
	return wait, again
}
