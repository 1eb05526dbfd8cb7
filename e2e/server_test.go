package e2e

import (
	"bufio"
	"bytes"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The keys that sign the tokens: a server that comes back with the same one
// believes what it has said before.
const (
	key      = "a key of the browser's tests, 32 bytes or more"
	otherKey = "another key of the browser's tests, as long"
)

// These build examples, once.
var (
	chat        = sync.OnceValues(func() (string, error) { return build("chat") })
	credentials = sync.OnceValues(func() (string, error) { return build("credentials") })
	deploying   = sync.OnceValues(func() (string, error) { return build("deploying") })
	walkthrough = sync.OnceValues(func() (string, error) { return build("walkthrough") })
	cluster     = sync.OnceValues(func() (string, error) {
		return compile("cluster", "build", ".", "-C", "examples/cluster")
	})
)

func build(example string) (string, error) {
	return compile(example, "build", "./examples/"+example)
}

// compile runs a command of go that writes a program.
func compile(name, command, pkg string, flags ...string) (string, error) {
	dir, err := os.MkdirTemp("", "usher-e2e-")
	if err != nil {
		return "", err
	}
	tidyUp = append(tidyUp, func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, name)
	build := exec.Command("go", append(append([]string{command}, flags...), "-o", path, pkg)...)
	build.Dir = ".."
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	return path, build.Run()
}

// server is an example, as a process.
type server struct {
	url string
	cmd *exec.Cmd
	log *bytes.Buffer
}

// serve starts the chat on an address and returns when it listens.
func serve(t *testing.T, addr, key string, flags ...string) *server {
	t.Helper()
	return start(t, chat, addr, key, flags...)
}

func start(t *testing.T, program func() (string, error), addr, key string, flags ...string) *server {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatalf("the example does not build: %v", err)
	}
	s := &server{cmd: exec.Command(path, append([]string{"-addr", addr}, flags...)...), log: new(bytes.Buffer)}
	s.cmd.Env = append(os.Environ(), "CHAT_KEY="+key, "CLUSTER_KEY="+key, "KEY="+key)
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(t, os.Kill) })
	for lines := bufio.NewScanner(stdout); s.url == ""; {
		if !lines.Scan() {
			s.end(t, os.Kill)
			t.Fatalf("the server says no address: %v\n%s", lines.Err(), s.log)
		}
		if line := lines.Text(); strings.HasPrefix(line, "http://") {
			s.url, _, _ = strings.Cut(line, " ")
		}
	}
	s.listens(t)
	return s
}

// listens waits until the server takes connections.
func (s *server) listens(t *testing.T) {
	t.Helper()
	end := time.After(patience)
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-time.After(10 * time.Millisecond): // nothing tells that a port is open but the port
		case <-end:
			t.Fatalf("the server does not listen: %v", err)
		}
	}
}

// end stops the server with a signal and waits until it is gone.
func (s *server) end(t *testing.T, signal os.Signal) {
	t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Errorf("stopping the server: %v", err)
	}
	_ = s.cmd.Wait() // a killed one returns an error
}

// again starts a server where s has been.
func (s *server) again(t *testing.T, key string) *server {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, u.Host, key)
}
