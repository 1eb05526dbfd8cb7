package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// site is the name that the shipped configuration gives the server.
const site = "chat.example"

// proxy is Debian's nginx with the configuration of examples/behind-nginx, in which
// nothing is changed but addresses and the places of files.
type proxy struct {
	t    *testing.T
	dir  string
	at   string // where it listens
	cmd  *exec.Cmd
	pool *x509.CertPool
}

// front starts nginx before a server, and returns when it answers.
func front(t *testing.T, upstream string) *proxy {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program = "/usr/sbin/nginx"; !exists(program) {
			if os.Getenv("CI_E2E") == "" {
				t.Skip("no nginx; install Debian's")
			}
			t.Fatal("no nginx")
		}
	}
	p := &proxy{t: t, dir: t.TempDir(), at: free(t), pool: x509.NewCertPool()}
	p.certify()
	p.configure(strings.TrimPrefix(upstream, "http://"))
	p.cmd = exec.Command(program, "-p", p.dir, "-e", p.file("start.log"), "-c", p.file("main.conf"))
	p.cmd.Stdout, p.cmd.Stderr = os.Stderr, os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	p.listens()
	return p
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// free is an address of loopback where nothing listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (p *proxy) file(name string) string { return filepath.Join(p.dir, name) }

func (p *proxy) write(name string, data []byte) {
	p.t.Helper()
	if err := os.WriteFile(p.file(name), data, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// read is what a file has, which may not be there yet.
func (p *proxy) read(name string) string {
	data, err := os.ReadFile(p.file(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	return string(data)
}

// certify makes the site's certificate, and trusts it.
func (p *proxy) certify() {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: site}, DNSNames: []string{site},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	p.write("site.pem", public)
	p.write("site.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	p.pool.AppendCertsFromPEM(public)
}

// configure writes the shipped site and what a distribution has around it.
func (p *proxy) configure(upstream string) {
	p.t.Helper()
	shipped, err := os.ReadFile("../examples/behind-nginx/nginx.conf")
	if err != nil {
		p.t.Fatal(err)
	}
	conf := string(shipped)
	for _, change := range [][2]string{
		{"server 127.0.0.1:8080;", "server " + upstream + ";"},
		{"listen 443 ssl;", "listen " + p.at + " ssl;"},
		{"/etc/ssl/chat.example.pem", p.file("site.pem")},
		{"/etc/ssl/chat.example.key", p.file("site.key")},
		{"/var/log/nginx/chat.log", p.file("access.log")},
		{"/var/log/nginx/chat-error.log", p.file("error.log")},
	} {
		if !strings.Contains(conf, change[0]) {
			p.t.Fatalf("the configuration has no %q", change[0])
		}
		conf = strings.ReplaceAll(conf, change[0], change[1])
	}
	p.write("site.conf", []byte(conf))
	paths := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += fmt.Sprintf("%s_temp_path %s;\n", kind, p.file("temp-"+kind))
	}
	p.write("main.conf", fmt.Appendf(nil, "daemon off;\nmaster_process off;\npid %s;\nevents {}\nhttp {\n%sinclude site.conf;\n}\n",
		p.file("pid"), paths))
}

// listens waits until nginx takes connections.
func (p *proxy) listens() {
	p.t.Helper()
	end := time.After(patience)
	for {
		c, err := net.Dial("tcp", p.at)
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-time.After(10 * time.Millisecond): // nothing tells that a port is open but the port
		case <-end:
			p.t.Fatalf("nginx does not listen: %v\n%s%s", err, p.read("start.log"), p.read("error.log"))
		}
	}
}

// stop ends nginx with its logs written.
func (p *proxy) stop() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// caller is a client with an address of its own.
type caller struct {
	p    *proxy
	from string
}

func (c caller) dial(string, string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
	return d.Dial("tcp", c.p.at)
}

func (c caller) trust() *tls.Config {
	return &tls.Config{RootCAs: c.p.pool, ServerName: site, MinVersion: tls.VersionTLS12}
}

// token signs in.
func (c caller) token() string {
	c.p.t.Helper()
	transport := &http.Transport{Dial: c.dial, TLSClientConfig: c.trust()} //nolint:staticcheck // no context is needed here
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	r, err := client.PostForm("https://"+site+"/token", url.Values{"username": {"alice"}, "password": {passwords["alice"]}})
	if err != nil {
		c.p.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || answer.Token == "" {
		c.p.t.Fatalf("%s: %v", r.Status, err)
	}
	return answer.Token
}

// connect opens the lobby with a token in the URL, where a proxy could log it.
func (c caller) connect(token string, header http.Header) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{NetDial: c.dial, TLSClientConfig: c.trust(), HandshakeTimeout: patience}
	return d.Dial("wss://"+site+"/ws/rooms/lobby?token="+url.QueryEscape(token), header)
}

// enter is connect that must go well.
func (c caller) enter(token string, header http.Header) *websocket.Conn {
	c.p.t.Helper()
	conn, r, err := c.connect(token, header)
	if err != nil {
		c.p.t.Fatalf("connecting through nginx: %v, %v\n%s", err, r, c.p.read("error.log"))
	}
	_ = r.Body.Close()
	c.p.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}

// refused is connect that must not go well: the status and the body of the answer.
func (c caller) refused(token string, header http.Header) (status int, body string) {
	c.p.t.Helper()
	conn, r, err := c.connect(token, header)
	if err == nil {
		_ = conn.Close()
		c.p.t.Fatal("let in, where a refusal was expected")
	}
	if r == nil {
		c.p.t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = r.Body.Close() }()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(text)
}

// code reads to the end and returns how the connection was closed.
func code(conn *websocket.Conn) string {
	for {
		_, _, err := conn.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return fmt.Sprintf("%d %s", closed.Code, closed.Text)
		}
		if err != nil {
			return err.Error()
		}
	}
}

var remote = regexp.MustCompile(`remote=(\S+)`)

// remotes are the clients' addresses in a log, in order.
func remotes(log string) (addrs []string) {
	for _, m := range remote.FindAllStringSubmatch(log, -1) {
		addrs = append(addrs, m[1])
	}
	return addrs
}

// TestNginx: through the proxy a connection is opened, its client known, a restart told.
func TestNginx(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key, "-trusted-proxies", "127.0.0.1", "-origins", "https://"+site)
	p := front(t, s.url)
	c := caller{p, "127.0.0.2"}
	token := c.token()

	const many = 20
	var conns []*websocket.Conn
	for range many {
		conns = append(conns, c.enter(token, http.Header{"X-Forwarded-For": {"203.0.113.9"}, "Origin": {"https://" + site}}))
	}
	status, body := c.refused(token, http.Header{"Origin": {"https://evil.example"}})
	if status != http.StatusForbidden || !strings.Contains(body, "origin_not_allowed") {
		t.Errorf("a page of elsewhere: %d %s", status, body)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for i, conn := range conns {
		if got := code(conn); !strings.HasPrefix(got, "1012 ") {
			t.Errorf("client %d was closed with %q, not 1012", i, got)
		}
	}
	_ = s.cmd.Wait()
	if got := remotes(s.log.String()); len(got) != many+1 {
		t.Errorf("the log has %d connections, not %d:\n%s", len(got), many+1, s.log)
	} else {
		for _, addr := range got {
			if addr != "127.0.0.2" {
				t.Errorf("a client is known as %s, not 127.0.0.2", addr)
			}
		}
	}
	gone(t, p, c, token)
}

// gone: with the server away as well, no log has the token.
func gone(t *testing.T, p *proxy, c caller, token string) {
	t.Helper()
	if status, body := c.refused(token, nil); status != http.StatusBadGateway {
		t.Errorf("with no server: %d %s", status, body)
	}
	p.stop()
	access := p.read("access.log")
	if n := strings.Count(access, `"GET /ws/rooms/lobby" 101`); n != 20 {
		t.Errorf("nginx has logged %d upgrades, not 20:\n%s", n, access)
	}
	for _, want := range []string{`"GET /ws/rooms/lobby" 403`, `"GET /ws/rooms/lobby" 502`, `"POST /token" 200`} {
		if !strings.Contains(access, want) {
			t.Errorf("nginx's log has no %s:\n%s", want, access)
		}
	}
	for _, name := range []string{"access.log", "error.log", "start.log"} {
		if log := p.read(name); strings.Contains(log, token) || strings.Contains(log, "token=") {
			t.Errorf("%s has the token:\n%s", name, log)
		}
	}
}

// TestNginxIsNotTrusted unless it is named: then all come from the proxy, and what
// they say of themselves counts for nothing.
func TestNginxIsNotTrusted(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key, "-origins", "https://"+site)
	p := front(t, s.url)
	c := caller{p, "127.0.0.2"}
	conn := c.enter(c.token(), http.Header{"X-Forwarded-For": {"203.0.113.9"}})
	s.end(t, syscall.SIGTERM)
	if got := code(conn); !strings.HasPrefix(got, "1012 ") {
		t.Errorf("closed with %q, not 1012", got)
	}
	if got := remotes(s.log.String()); len(got) != 1 || !strings.HasPrefix(got[0], "127.0.0.1:") {
		t.Errorf("the log has the clients %v, not nginx at 127.0.0.1", got)
	}
}
