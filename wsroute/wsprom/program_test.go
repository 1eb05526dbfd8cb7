package wsprom_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// This file is the same in wsotel and wsprom: it has the program that both watch.

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

// canary is in everything that a client sends.
const canary = "canary-7a41"

type (
	none  = struct{}
	user  struct{ Name string }
	voice struct{}
	say   struct {
		Text string `json:"text"`
	}
	said struct {
		Text string `json:"text"`
	}
	event interface{ isEvent() }
)

func (said) isEvent() {}

// gate is where a handshake meets its fate, which the query names.
type gate struct{ fate string }

func openGate(ctx context.Context, in struct {
	User user
	Fate string `query:"fate" default:"none"`
},
) (gate, error) {
	depends.Identify(ctx, depends.Identity{Subject: "somebody"})
	switch name, rest, _ := strings.Cut(in.Fate, ":"); name {
	case "panic":
		panic(in.Fate)
	case "fail":
		return gate{}, errors.New(in.Fate)
	case "full":
		return gate{}, depends.Forbidden("room_full", nil)
	case "any":
		status, reason, _ := strings.Cut(rest, ":")
		n, _ := strconv.Atoi(status)
		return gate{}, &depends.Rejection{Status: n, Reason: reason}
	case "wait":
		<-ctx.Done()
		return gate{}, ctx.Err()
	}
	return gate{in.Fate}, nil
}

// speak does what its text says.
func speak(ctx context.Context, m say) (said, error) {
	switch name, rest, _ := strings.Cut(m.Text, ":"); name {
	case "panic":
		panic(m.Text)
	case "fail":
		return said{}, errors.New(m.Text)
	case "muted":
		return said{}, depends.Forbidden("muted", nil)
	case "any":
		return said{}, depends.Forbidden(rest, nil)
	case "late":
		<-ctx.Done()
		return said{}, ctx.Err()
	}
	return said(m), nil
}

// loop echoes, and does what a text says.
func loop(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Gate gate }) error {
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch name, rest, _ := strings.Cut(text, ":"); name {
		case "panic":
			panic(text)
		case "fail":
			return errors.New(text)
		case "close":
			code, reason, _ := strings.Cut(rest, ":")
			n, _ := strconv.Atoi(code)
			return conn.Close(n, reason)
		}
		if err := conn.Send(ctx, text); err != nil {
			return err
		}
	}
}

// flood sends more than the queue has room for.
func flood(ctx context.Context, conn *wsroute.Conn[wsroute.Discard, string], _ none) error {
	for range 100 {
		if err := conn.Send(ctx, strings.Repeat("x", 64<<10)); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// brokenBroker fails when its channel is closed: wstest adds a Trace after Mount, and a router must
// have nothing to tell until then.
type brokenBroker chan none

func (brokenBroker) MaxPayload() int { return 1 << 20 }

func (b brokenBroker) Publish(ctx context.Context, _ string, _ []byte) error {
	return b.Subscribe(ctx, "", nil, nil)
}

func (b brokenBroker) Subscribe(ctx context.Context, _ string, _ func([]byte), _ func()) error {
	select {
	case <-b:
		return errors.New("there is no broker: " + canary)
	case <-ctx.Done():
		return nil
	}
}

// program is a router, and what it has been told.
type program struct {
	*wsroute.Router
	broker brokenBroker

	pongs, broken, replaced atomic.Int64
}

func (ws *program) trace() *wsroute.Trace {
	return &wsroute.Trace{
		Pong:   func(context.Context, string, time.Duration) { ws.pongs.Add(1) },
		Broker: func(context.Context, wsroute.BrokerInfo) { ws.broken.Add(1) },
		Dropped: func(_ context.Context, d wsroute.DropInfo) {
			if d.Cause == nil {
				ws.replaced.Add(1)
			}
		},
	}
}

// newProgram returns one in which /rooms declares its outcomes, /wild and /loop do not.
func newProgram(config wsroute.Config) *program {
	p := &program{}
	p.broker, _ = config.Broker.(brokenBroker)
	if p.broker != nil {
		config.Trace = append(config.Trace, p.trace())
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	deps := depends.New()
	security.Use(deps, security.APIKey[user]{
		Sources: []depends.Source{
			security.Header("X-Api-Key"), {In: "query", Name: "key"}, {In: "cookie", Name: "key"},
		},
		InsecureQuery: true,
		Find: func(_ context.Context, hash [sha256.Size]byte) (user, error) {
			if hash != sha256.Sum256([]byte(canary)) {
				return user{}, depends.ErrAbsent
			}
			return user{canary}, nil
		},
	})
	depends.Provide(deps, openGate)
	depends.Provide(deps, func(context.Context, struct{ User user }) (voice, error) {
		return voice{}, nil
	}, depends.Message)
	config.Origins = []string{"https://pages.example"}
	ws := wsroute.New(deps, &config)
	p.Router = ws
	for _, path := range []string{"/rooms/:room", "/wild/:room"} {
		var options []wsroute.RouteOption
		var may []wsroute.MessageOption
		if path == "/rooms/:room" {
			options = append(options, wsroute.Closes(4001, "kicked", wsroute.ReconnectNever, "kicked out"))
			may = append(may, wsroute.Fails("muted", "nobody may hear you"))
		}
		c := wsroute.HandleMessages(ws, path, wsroute.Union[event]{"said": said{}},
			append(options, wsroute.Require[gate]())...)
		wsroute.Answer(c, "say", func(ctx context.Context, m say, _ struct{ Voice voice }) (said, error) {
			return speak(ctx, m)
		}, append(may, wsroute.Within(time.Second))...)
	}
	wsroute.Handle(ws, "/loop/:room", loop)
	wsroute.Handle(ws, "/flood", flood, wsroute.Public, wsroute.DropOldest,
		wsroute.Limits{SendMessages: 8})
	return p
}

var key = wstest.Header("X-Api-Key", canary)

// peer is a client without a test's deadlines.
type peer struct{ *websocket.Conn }

// connect returns nil for a refusal.
func connect(t testing.TB, srv *wstest.Server, path string) *peer {
	t.Helper()
	d := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return srv.Connect(ctx)
	}}
	header := http.Header{
		"X-Api-Key": {canary}, "X-Other": {canary}, "User-Agent": {canary}, "Cookie": {"other=" + canary},
		"Sec-Websocket-Protocol": {canary},
	}
	conn, response, err := d.DialContext(t.Context(), "ws://"+srv.Host+path, header)
	if response != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		if response == nil {
			t.Error(err)
		}
		return nil
	}
	return &peer{conn}
}

// says sends a text and waits for an answer or the end.
func (p *peer) says(text string) {
	if p.WriteMessage(websocket.TextMessage, []byte(text)) == nil {
		_, _, _ = p.ReadMessage()
	}
}

// closes sends a close frame and waits for the end.
func (p *peer) closes(code int, reason string) {
	frame := websocket.FormatCloseMessage(code, reason)
	_ = p.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second))
	for {
		if _, _, err := p.ReadMessage(); err != nil {
			_ = p.Close()
			return
		}
	}
}

func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// everyConfig is for everything: pings come often, and the broker breaks.
func everyConfig() wsroute.Config {
	return wsroute.Config{
		Name: "test", Broker: make(brokenBroker), ResolveTimeout: time.Second,
		Limits: wsroute.Limits{PingInterval: 20 * time.Millisecond},
	}
}

// everything lets each metric and each span of the program have a value.
func (ws *program) everything(t *testing.T) {
	t.Helper()
	srv := wstest.Start(t, ws.Router)
	close(ws.broker)
	wstest.Refused(t, srv, "/rooms/a")
	wstest.Refused(t, srv, "/rooms/a?key=guessed")
	wstest.Refused(t, srv, "/rooms/a", key, wstest.Header("Origin", "https://"+canary+".example"))
	for _, fate := range []string{"panic:" + canary, "fail:" + canary, "any:404:", "any:419:"} {
		wstest.Refused(t, srv, "/wild/a?fate="+fate, key)
	}
	for _, text := range []string{"hello", "panic:" + canary, "fail:" + canary, "muted", "late"} {
		p := connect(t, srv, "/rooms/"+canary+"?q="+canary)
		p.says(`{"type":"say","text":"` + text + `"}`)
		p.says(`{"type":"` + canary + `"}`)
		p.closes(4000, canary)
	}
	p := connect(t, srv, "/loop/a")
	p.says("panic:" + canary)
	p.closes(1000, "")
	p = connect(t, srv, "/loop/a")
	ended := make(chan none)
	go func() { // answers pings
		_, _, _ = p.ReadMessage()
		close(ended)
	}()
	until(t, "a pong has come", func() bool { return ws.pongs.Load() > 0 })
	_ = p.Close()
	<-ended
	f := connect(t, srv, "/flood")
	until(t, "messages have given way to newer ones", func() bool { return ws.replaced.Load() > 0 })
	_ = f.UnderlyingConn().Close()
	until(t, "all have ended", func() bool { return ws.open() == 0 && ws.broken.Load() > 0 })
	srv.Stop()
}

// open is how many connections are.
func (ws *program) open() (n int) {
	for _, r := range ws.Stats().Routes {
		n += r.Open
	}
	return n
}

// connections opens and ends many at once: their peers close or are killed, handlers panic or
// fail, they are revoked or drained, providers refuse. It returns how many were opened.
func (ws *program) connections(t *testing.T, srv *wstest.Server) (opened int) {
	t.Helper()
	var all sync.WaitGroup
	var accepted, refused atomic.Int64
	ends := []func(*peer){
		func(p *peer) { _ = p.UnderlyingConn().Close() },
		func(p *peer) { p.says("panic:" + canary) },
		func(p *peer) { p.says("fail:" + canary) },
		func(p *peer) { p.closes(4000, canary) },
		func(p *peer) { _, _, _ = p.ReadMessage() }, // revoked or drained
	}
	visit := func(n int) {
		for i := range n {
			path := []string{"/loop/a", "/loop/a?fate=full"}[i%20/19]
			all.Go(func() {
				p := connect(t, srv, path)
				if p == nil {
					refused.Add(1)
					return
				}
				accepted.Add(1)
				ends[i%len(ends)](p)
				_ = p.Close()
			})
		}
	}
	const half = 150
	visit(half)
	until(t, "half have come", func() bool { return accepted.Load()+refused.Load() == half })
	if _, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "somebody"}); err != nil {
		t.Error(err)
	}
	visit(half)
	until(t, "all have come", func() bool { return accepted.Load()+refused.Load() == 2*half })
	srv.Stop()
	all.Wait()
	return int(accepted.Load())
}

// strange opens a connection whose path, messages, end and refusals are random, and waits until
// it has ended.
func strange(t *testing.T, srv *wstest.Server, random *rand.Rand) {
	t.Helper()
	word := func() string { return fmt.Sprintf("w%x", random.Uint64()) }
	end := func() int {
		if known := []int{1000, 1001, 1008, 1011, 1012, 1013, 3000}; random.IntN(4) == 0 {
			return known[random.IntN(len(known))]
		}
		return 3000 + random.IntN(2000)
	}
	switch random.IntN(4) {
	case 0:
		path := "/wild/%s?fate=any:%d:%s"
		connect(t, srv, fmt.Sprintf(path, word(), 400+random.IntN(60), word()))
	case 1:
		if p := connect(t, srv, "/loop/"+word()); p != nil {
			p.says(fmt.Sprintf("close:%d:%s", end(), word()))
			p.closes(1000, "")
		}
	default:
		if p := connect(t, srv, "/wild/"+word()+"?"+word()+"="+word()); p != nil {
			p.says(`{"type":"say","text":"any:` + word() + `"}`)
			p.says(`{"type":"` + word() + `"}`)
			p.closes(end(), word())
		}
	}
}

// strangers are so many of them, some at once. It returns when all connections have ended.
func (ws *program) strangers(t *testing.T, srv *wstest.Server, seed uint64, many int) {
	t.Helper()
	var all sync.WaitGroup
	const at = 16
	for i := range at {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for range many / at {
				strange(t, srv, random)
			}
		})
	}
	all.Wait()
	until(t, "all have ended", func() bool { return ws.open() == 0 })
}

// cost is what a program is asked for, again and again, by a client that costs little.
type cost struct{ handshake, message func() }

func (ws *program) cost(t testing.TB) cost {
	t.Helper()
	srv := wstest.Start(t, ws.Router)
	answer := make([]byte, 4<<10)
	exchange := func(conn net.Conn, ask, want string) {
		if _, err := io.WriteString(conn, ask); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(answer); err != nil || !strings.Contains(string(answer[:n]), want) {
			t.Fatalf("got %q, %v, want %s", answer[:n], err, want)
		}
	}
	open := func() net.Conn {
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		exchange(conn, "GET /rooms/a HTTP/1.1\r\nHost: "+srv.Host+"\r\nX-Api-Key: "+canary+"\r\nConnection: Upgrade\r\n"+
			"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "HTTP/1.1 101")
		return conn
	}
	talk := open()
	t.Cleanup(func() { _ = talk.Close() })
	const say = `{"type":"say","text":"hello"}`
	return cost{
		handshake: func() {
			conn := open()
			_, _ = io.WriteString(conn, "\x88\x82\x00\x00\x00\x00\x03\xe8") // a close frame with 1000
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		},
		message: func() {
			exchange(talk, "\x81"+string([]byte{0x80 | byte(len(say)), 0, 0, 0, 0})+say, "said")
		},
	}
}

// mallocs is how often f allocates, the server included.
func mallocs(f func()) float64 {
	const times = 300
	for range times {
		f()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / times
}

// allocations compares what a program adds with a row of the page's table.
func allocations(t *testing.T, row int, plain, watched cost) {
	t.Helper()
	says := documented(t, "allocations at most")[row]
	for head, more := range map[string]float64{
		"of a handshake": mallocs(watched.handshake) - mallocs(plain.handshake),
		"of a message":   mallocs(watched.message) - mallocs(plain.message),
	} {
		most, err := strconv.ParseFloat(says[head], 64)
		if err != nil || more > most+.5 || more < most/2 { // the runtime allocates now and then
			t.Errorf("%.2f allocations more %s, the page says at most %s", more, head, says[head])
		}
	}
}

// compare prints what a program costs that is watched, in terms of one that is not.
func compare(b *testing.B, plain, watched cost) {
	for _, what := range []struct {
		name           string
		plain, watched func()
	}{{"handshake", plain.handshake, watched.handshake}, {"message", plain.message, watched.message}} {
		b.Run(what.name, func(b *testing.B) {
			var without, with time.Duration
			for b.Loop() {
				begun := time.Now()
				what.plain()
				between := time.Now()
				what.watched()
				without, with = without+between.Sub(begun), with+time.Since(between)
			}
			b.ReportMetric(float64(with)/float64(without), "ratio")
			b.ReportMetric(float64(with-without)/float64(b.N), "ns-more")
			b.ReportMetric(mallocs(what.watched)-mallocs(what.plain), "mallocs-more")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// row is a line of a table in docs/observability.md, by the heads of its columns.
type row map[string]string

var code = regexp.MustCompile("`([^`]*)`")

// codes are the words in backquotes.
func (r row) codes(head string) (words []string) {
	for _, m := range code.FindAllStringSubmatch(r[head], -1) {
		words = append(words, m[1])
	}
	slices.Sort(words)
	return words
}

// documented reads the table whose first head is this.
func documented(t *testing.T, first string) (rows []row) {
	t.Helper()
	text, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	var heads []string
	for line := range strings.Lines(string(text)) {
		inner, isRow := strings.CutPrefix(strings.TrimSpace(line), "| ")
		cells := strings.Split(strings.TrimSuffix(inner, " |"), " | ")
		switch {
		case strings.HasPrefix(line, "|---"):
		case !isRow:
			heads = nil
		case heads == nil:
			heads = cells
		case heads[0] == first:
			r := row{}
			for i, cell := range cells {
				r[heads[i]] = cell
			}
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("docs/observability.md has no table of %s", first)
	}
	return rows
}
