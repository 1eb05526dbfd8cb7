package differential

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// handshake is what a client sends behind its request line and its own headers.
const handshake = "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// plain are the headers of a request that is no handshake.
const plain = "Host: localhost\r\n"

// referenceHeader is on the answers of the reference. One without it is net/http's own, to a
// request that reaches no handler.
const referenceHeader = "X-Reference"

type (
	none       struct{}
	textSocket = wsroute.Conn[string, string]
)

func config() *wsroute.Config {
	return &wsroute.Config{Logger: slog.New(slog.DiscardHandler)}
}

// newEngine is a gin engine whose every answer has the referenceHeader.
func newEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(func(c *gin.Context) { c.Header(referenceHeader, "1") })
	return engine
}

// client sends requests as they stand, over one connection.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func connect(t *testing.T, srv *wstest.Server) *client {
	t.Helper()
	conn, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t, conn, bufio.NewReader(conn)}
}

// reply is an answer to a request, or the first message behind a 101.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with a line and headers.
func (c *client) ask(line, headers string) reply {
	c.t.Helper()
	go func() { _, _ = io.WriteString(c.conn, line+" HTTP/1.1\r\n"+headers+"\r\n") }() // the answer may come early
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("%q %q is not answered: %v", line, headers, err)
	}
	defer response.Body.Close()
	got := reply{status: response.StatusCode, header: response.Header}
	if got.status == http.StatusSwitchingProtocols {
		got.body = c.message()
		return got
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	got.body = string(body)
	return got
}

// message reads one unmasked frame (RFC 6455 §5.2), and returns nothing for a close frame.
func (c *client) message() string {
	c.t.Helper()
	var head [10]byte
	read := func(b []byte) {
		if _, err := io.ReadFull(c.in, b); err != nil {
			c.t.Fatalf("no message behind the 101: %v", err)
		}
	}
	read(head[:2])
	length := uint64(head[1])
	switch length {
	case 126:
		read(head[8:])
		length = uint64(binary.BigEndian.Uint16(head[8:]))
	case 127:
		read(head[2:])
		length = binary.BigEndian.Uint64(head[2:])
	}
	payload := make([]byte, length)
	read(payload)
	if head[0] != 0x81 {
		return ""
	}
	return string(payload)
}

// String is the value of a 101, or a refusal as its status with the code of its first error,
// or else its reason.
func (r reply) String() string {
	if r.status == http.StatusSwitchingProtocols || r.status == http.StatusOK {
		return "= " + r.body
	}
	var problem wstest.Problem
	_ = json.Unmarshal([]byte(r.body), &problem)
	what := problem.Reason
	if len(problem.Errors) > 0 {
		what = problem.Errors[0].Code
	}
	return strings.TrimSpace(fmt.Sprint(r.status, " ", what))
}

// fromReference says whether the reference has answered, and not net/http.
func (r reply) fromReference() bool { return r.header.Get(referenceHeader) != "" }
