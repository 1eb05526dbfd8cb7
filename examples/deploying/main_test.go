package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

// start is a server on loopback, which therefore sees its clients come from 127.0.0.1.
func start(t *testing.T, s settings) *wstest.Server {
	t.Helper()
	return wstest.StartLoopback(t, newRouter(s))
}

// overTLS is what the proxy says of every client.
func overTLS() wstest.Option { return wstest.Header("X-Forwarded-Proto", "https") }

func from(addrs string) wstest.Option { return wstest.Header("X-Forwarded-For", addrs) }

// TestTheProxyIsBelieved: its own entry counts, and those that its client wrote do not.
func TestTheProxyIsBelieved(t *testing.T) {
	srv := start(t, settings{proxies: list{"127.0.0.1", "10.0.0.0/8"}})
	for forwarded, want := range map[string]string{
		"203.0.113.7":               "203.0.113.7",
		"198.51.100.1, 203.0.113.7": "203.0.113.7", // the first is the client's own word
		"203.0.113.7, 10.1.2.3":     "203.0.113.7", // the second is a proxy of ours
		"127.0.0.1, 203.0.113.7":    "203.0.113.7", // nor does it help to claim to be the proxy
	} {
		peer := wstest.Dial[string, string](t, srv, "/ws/address", from(forwarded), overTLS())
		if got := peer.Receive(); got != want {
			t.Errorf("X-Forwarded-For: %s: the client is %s, want %s", forwarded, got, want)
		}
	}
}

// TestNobodyElseIs: without the flag the header does not count.
func TestNobodyElseIs(t *testing.T) {
	srv := start(t, settings{})
	got := wstest.Refused(t, srv, "/ws/address", overTLS())
	if got.Status != 403 || got.Problem.Reason != "tls_required" {
		t.Errorf("TLS by a stranger's word: %d %s", got.Status, got.Problem.Reason)
	}
}

// TestWithoutTLS: the proxy says that there was none.
func TestWithoutTLS(t *testing.T) {
	srv := start(t, settings{proxies: list{"127.0.0.1"}})
	got := wstest.Refused(t, srv, "/ws/address", wstest.Header("X-Forwarded-Proto", "http"))
	if got.Status != 403 || got.Problem.Reason != "tls_required" {
		t.Errorf("a client without TLS: %d %s", got.Status, got.Problem.Reason)
	}
}

// TestManyOfOneAddress: the limit is the client's, although all come from the proxy.
func TestManyOfOneAddress(t *testing.T) {
	srv := start(t, settings{proxies: list{"127.0.0.1"}})
	for range 20 {
		wstest.Dial[string, string](t, srv, "/ws/address", from("203.0.113.7"), overTLS())
	}
	got := wstest.Refused(t, srv, "/ws/address", from("198.51.100.1, 203.0.113.7"), overTLS())
	if got.Status != 429 || got.Problem.Reason != "too_many_from_address" {
		t.Errorf("one more: %d %s", got.Status, got.Problem.Reason)
	}
	wstest.Dial[string, string](t, srv, "/ws/address", from("203.0.113.8"), overTLS())
}

func TestOrigins(t *testing.T) {
	srv := start(t, settings{proxies: list{"127.0.0.1"}, origins: list{"https://chat.example"}})
	peer := wstest.Dial[string, string](t, srv, "/ws/address", wstest.Header("Origin", "https://chat.example"), overTLS())
	if got := peer.Receive(); got != "127.0.0.1" {
		t.Errorf("without a word of the proxy, the client is %s", got)
	}
	got := wstest.Refused(t, srv, "/ws/address", wstest.Header("Origin", "https://evil.example"), overTLS())
	if got.Status != 403 || got.Problem.Reason != "origin_not_allowed" {
		t.Errorf("a stranger's page: %d %s", got.Status, got.Problem.Reason)
	}
}

// TestAnAddressThatIsNone: a bad address is found before anything is served.
func TestAnAddressThatIsNone(t *testing.T) {
	var proxies list
	if err := proxies.Set("127.0.0.1,proxy.internal"); err != nil || proxies.String() != "127.0.0.1,proxy.internal" {
		t.Fatal(err, proxies)
	}
	err := run(t.Context(), "127.0.0.1:0", settings{proxies: proxies}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `"proxy.internal" is neither an IP address nor a CIDR prefix`) {
		t.Errorf("run: %v", err)
	}
}

// TestRun: it says where it listens, and ends with the context.
func TestRun(t *testing.T) {
	header := http.Header{"X-Forwarded-Proto": {"https"}}
	stopsInOrder(t, settings{proxies: list{"127.0.0.1"}}, websocket.DefaultDialer, header)
}

// TestOverTLS: a client that trusts the certificate is served, without the word of a proxy.
func TestOverTLS(t *testing.T) {
	model := httptest.NewTLSServer(http.NotFoundHandler()) // it has a certificate, and a client that trusts it
	defer model.Close()
	certificate := model.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	s := settings{origins: list{"https://chat.example"}}
	s.certFile = pemFile(t, "CERTIFICATE", certificate.Certificate[0])
	s.keyFile = pemFile(t, "PRIVATE KEY", key)
	trust := model.Client().Transport.(*http.Transport).TLSClientConfig
	// A browser offers HTTP/2 as well; what is chosen must be HTTP/1.1.
	trust.NextProtos = []string{"h2", "http/1.1"}
	dialer := &websocket.Dialer{TLSClientConfig: trust}
	stopsInOrder(t, s, dialer, http.Header{"Origin": {"https://chat.example"}})

	s.keyFile = s.certFile
	if err := run(t.Context(), "127.0.0.1:0", s, io.Discard); err == nil {
		t.Error("it serves without a key")
	}
}

func pemFile(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// stopsInOrder runs the program, connects to where it says that it listens, and stops it.
func stopsInOrder(t *testing.T, s settings, dialer *websocket.Dialer, header http.Header) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, "127.0.0.1:0", s, write) }()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := "ws" + strings.TrimPrefix(strings.TrimSpace(line), "http") + "/ws/address"
	conn, answer, err := dialer.Dial(url, header)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	defer func() { _ = conn.Close() }()
	if _, got, err := conn.ReadMessage(); err != nil || string(got) != "127.0.0.1" {
		t.Errorf("the client is told %s, %v", got, err)
	}
	cancel()
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	if !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("the client is told %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
