package processes_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// within bounds waits that have no bound of their own.
const within = 30 * time.Second

// role says, in the environment, what the test binary is.
const role = "PROCESSES_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(role) {
	case "server":
		err = serve()
	case "nats":
		err = serveNATS()
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is a process that the test starts.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	at  string // where it listens
	log *bytes.Buffer
}

// run starts the test binary in a role, or another program, and ends it with the test.
func run(t *testing.T, cmd *exec.Cmd, env ...string) *child {
	t.Helper()
	c := &child{t: t, cmd: cmd, log: &bytes.Buffer{}}
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = c.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.end(syscall.SIGKILL) })
	return c
}

func self() *exec.Cmd { return exec.Command(os.Args[0]) }

// end sends a signal and waits until the process is gone.
func (c *child) end(signal os.Signal) {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Signal(signal)
		_ = c.cmd.Wait()
	}
}

// broker is one that can be killed and come back at the same place with what it had stored.
type broker struct {
	kind  string
	at    string
	start func() *child
	*child
}

func newBroker(t *testing.T, kind string) *broker {
	t.Helper()
	b := &broker{kind: kind, at: freeAddr(t)}
	dir := t.TempDir()
	b.start = func() *child {
		if kind == "nats" {
			return run(t, self(), role+"=nats", "AT="+b.at, "DIR="+dir)
		}
		program, err := exec.LookPath("redis-server")
		if err != nil {
			if os.Getenv("CI_BROKERS") != "" {
				t.Fatal(err)
			}
			t.Skip("no redis-server; install Debian's")
		}
		_, port, _ := net.SplitHostPort(b.at)
		return run(t, exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--appendonly", "yes", "--appendfsync", "always"))
	}
	b.comes()
	return b
}

// comes starts the broker.
func (b *broker) comes() {
	b.child = b.start()
	listens(b.t, b.at, b.child)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func listens(t *testing.T, at string, c *child) {
	t.Helper()
	until(t, within, func() error {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// until waits for a condition, which nothing tells of.
func until(t *testing.T, limit time.Duration, f func() error) (took time.Duration) {
	t.Helper()
	begun := time.Now()
	for {
		err := f()
		took = time.Since(begun)
		if err == nil {
			return took
		}
		if took > limit {
			t.Fatalf("after %v: %v", limit, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// server is one process of the program.
type server struct{ *child }

func startServer(t *testing.T, name, kind, brokerAt string) *server {
	t.Helper()
	cmd := self()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{run(t, cmd, role+"=server", "NAME="+name, "KIND="+kind, "AT="+brokerAt)}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		s.end(syscall.SIGKILL)
		t.Fatalf("the server says no address:\n%s", s.log)
	}
	s.at = lines.Text()
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return s
}

// ask returns what the server answers to a plain request.
func (s *server) ask(path string, query url.Values) (string, error) {
	r, err := http.Get("http://" + s.at + path + "?" + query.Encode())
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, body)
	}
	return string(body), err
}

func (s *server) present(room string) (string, error) {
	return s.ask("/present", url.Values{"room": {room}})
}

// cluster is a broker and three servers.
type cluster struct {
	t       *testing.T
	broker  *broker
	servers []*server
}

func startCluster(t *testing.T, kind string) *cluster {
	t.Helper()
	c := &cluster{t: t, broker: newBroker(t, kind)}
	for _, name := range []string{"a", "b", "c"} {
		c.servers = append(c.servers, startServer(t, name, kind, c.broker.at))
	}
	return c
}

// both runs a test on each kind of broker.
func both(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range []string{"nats", "redis"} {
		t.Run(kind, func(t *testing.T) { f(t, kind) })
	}
}

// agree waits until all servers say the same of a room, in one order.
func (c *cluster) agree(limit time.Duration, room string, want []string) time.Duration {
	c.t.Helper()
	return until(c.t, limit, func() error {
		for i, s := range c.servers {
			got, err := s.present(room)
			if err != nil || got != strings.Join(want, " ") {
				return fmt.Errorf("server %d says of %s: %d members, want %d: %w", i, room, len(strings.Fields(got)), len(want), err)
			}
		}
		return nil
	})
}
