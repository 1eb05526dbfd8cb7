//go:build unix

package faults

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/usher/internal/conformance"
)

// TestAPauseOfOurOwn: a server that did not run for a while, as a machine that is moved
// does not, reads what is waiting and pings before it calls anybody lost.
func TestAPauseOfOurOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds of real time")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asServer+"=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	const peers = 20
	pings := make(chan error, 100*peers)
	var all []*conformance.Peer
	for range peers {
		c, err := net.Dial("tcp", strings.TrimSpace(address)) //nolint:noctx // it is closed below
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p, err := conformance.Open(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
		go answerPings(p, pings)
	}
	await := func(n int) {
		t.Helper()
		for range n {
			select {
			case err := <-pings:
				if err != nil {
					t.Fatalf("a peer lost its connection: %v; the log:\n%s", err, stderr.String())
				}
			case <-time.After(30 * time.Second):
				t.Fatal("no ping came for 30 s")
			}
		}
	}
	await(2 * peers)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(pausePong + pausePing)
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(4 * peers)
	for _, p := range all {
		_ = p.Conn.Close()
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v:\n%s", err, stderr.String())
	}
}

// answerPings answers as long as the connection lives.
func answerPings(p *conformance.Peer, pings chan<- error) {
	for {
		e, err := p.Read()
		if err == nil && e.Opcode == conformance.Ping {
			err = say(p, conformance.Frame{Opcode: conformance.Pong, Payload: e.Payload})
		} else if err == nil {
			err = fmt.Errorf("%v came", e)
		}
		pings <- err
		if err != nil {
			return
		}
	}
}
