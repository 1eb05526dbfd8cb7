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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// site is the name that the shipped configuration gives the server.
const site = "chat.example"

// proxy is Debian's nginx with a configuration of an example, in which nothing is changed but
// addresses and the places of files.
type proxy struct {
	t    *testing.T
	dir  string
	at   string // where it listens for TLS
	bare string // and without
	cmd  *exec.Cmd
	pool *x509.CertPool
}

// setting is a change of the shipped configuration.
type setting struct{ old, new string }

// upstreams puts nginx before these servers, in place of the one.
func upstreams(urls ...string) setting {
	var servers []string
	for _, at := range urls {
		servers = append(servers, "server "+strings.TrimPrefix(at, "http://")+";")
	}
	return setting{"server 127.0.0.1:8080;", strings.Join(servers, " ")}
}

// front starts nginx, and returns when it answers.
func front(t *testing.T, settings ...setting) *proxy {
	t.Helper()
	return frontOf(t, "../examples/deploying/nginx.conf", func(p *proxy) []setting {
		return append(settings, []setting{
			{"listen 80;", "listen " + p.bare + ";"},
			{"listen 443 ssl;", "listen " + p.at + " ssl;"},
			{"/etc/ssl/chat.example.pem", p.file("site.pem")},
			{"/etc/ssl/chat.example.key", p.file("site.key")},
			{"/var/log/nginx/chat.log", p.file("access.log")},
			{"/var/log/nginx/chat-error.log", p.file("error.log")},
		}...)
	})
}

// frontOf starts nginx with a configuration that is shipped, and what is changed of it.
func frontOf(t *testing.T, shipped string, settings func(*proxy) []setting) *proxy {
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
	p := &proxy{t: t, dir: t.TempDir(), at: free(t), bare: free(t), pool: x509.NewCertPool()}
	p.certify()
	p.configure(shipped, settings(p))
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
func (p *proxy) configure(shipped string, settings []setting) {
	p.t.Helper()
	text, err := os.ReadFile(shipped)
	if err != nil {
		p.t.Fatal(err)
	}
	conf := string(text)
	for _, change := range settings {
		if !strings.Contains(conf, change.old) {
			p.t.Fatalf("the configuration has no %q", change.old)
		}
		conf = strings.ReplaceAll(conf, change.old, change.new)
	}
	p.write("site.conf", []byte(conf))
	paths := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += fmt.Sprintf("%s_temp_path %s;\n", kind, p.file("temp-"+kind))
	}
	p.write("main.conf", fmt.Appendf(nil, "daemon off;\nmaster_process off;\npid %s;\nevents {}\nhttp {\n%saccess_log off;\ninclude site.conf;\n}\n",
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

// connect opens a path.
func (c caller) connect(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{NetDial: c.dial, TLSClientConfig: c.trust(), HandshakeTimeout: patience}
	return d.Dial("wss://"+site+path, header)
}

// lobby is a room's path with a token in the URL, where a proxy could log it.
func lobby(token string) string { return "/ws/rooms/lobby?token=" + url.QueryEscape(token) }

// enter is connect that must go well.
func (c caller) enter(path string, header http.Header) *websocket.Conn {
	c.p.t.Helper()
	conn, r, err := c.connect(path, header)
	if err != nil {
		c.p.t.Fatalf("connecting through nginx: %v, %v\n%s", err, r, c.p.read("error.log"))
	}
	_ = r.Body.Close()
	c.p.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}

// status is what a handshake is answered with, and the body of a refusal.
func (c caller) status(path string, header http.Header) (status int, body string) {
	c.p.t.Helper()
	conn, r, err := c.connect(path, header)
	if err == nil {
		_ = conn.Close()
	} else if r == nil {
		c.p.t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = r.Body.Close() }()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(text)
}
