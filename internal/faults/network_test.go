//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/wsroute"
)

const (
	serverAddress = "10.231.77.1"
	clientAddress = "10.231.77.2"
)

// network is a namespace of its own for the clients, joined to the server's by one
// pair of interfaces. It lives as long as its test.
type network struct {
	t         *testing.T
	name, dev string // of the namespace, and of the interface on the server's side
	at        string // where the server listens
}

// join makes a network, or skips the test where it cannot.
func join(t *testing.T, tools ...string) *network {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes seconds of real time")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	for _, tool := range append(tools, "ip") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("there is no %s here", tool)
		}
	}
	n := &network{t: t, name: fmt.Sprintf("usher%d", os.Getpid()), dev: fmt.Sprintf("ush%d", os.Getpid()%100000)}
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Skipf("no network namespace can be made here: %s", out)
	}
	t.Cleanup(func() { // the test's context has ended
		_ = exec.Command("ip", "link", "del", n.dev).Run()   //nolint:noctx // see above
		_ = exec.Command("ip", "netns", "del", n.name).Run() //nolint:noctx // see above
	})
	peer := n.dev + "p"
	n.run("ip", "link", "add", n.dev, "type", "veth", "peer", "name", peer, "netns", n.name)
	n.run("ip", "addr", "add", serverAddress+"/30", "dev", n.dev)
	n.run("ip", "link", "set", n.dev, "up")
	n.inside("ip", "addr", "add", clientAddress+"/30", "dev", peer)
	n.inside("ip", "link", "set", peer, "up")
	return n
}

func (n *network) run(command ...string) {
	n.t.Helper()
	if out, err := exec.CommandContext(n.t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil { //nolint:gosec // the test's own words
		n.t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}

func (n *network) inside(command ...string) {
	n.t.Helper()
	n.run(append([]string{"ip", "netns", "exec", n.name}, command...)...)
}

// serve starts a server on this side of the network.
func serve(n *network, config *wsroute.Config, handler func(context.Context, *conn, none) error) *world {
	n.t.Helper()
	w := begin(n.t, depends.New(), config, handler)
	routes, err := w.ws.Handler()
	if err != nil {
		n.t.Fatal(err)
	}
	l, err := net.Listen("tcp", serverAddress+":0")
	if err != nil {
		n.t.Fatal(err)
	}
	n.at = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wsroute.ServeListener(ctx, l, w.ws, routes) }()
	n.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			n.t.Error(err)
		}
	})
	return w
}

// open connects from within the namespace. A socket belongs to the namespace of the
// thread that makes it; that thread is not used for anything else.
func (n *network) open() (*conformance.Peer, error) {
	type result struct {
		p   *conformance.Peer
		err error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var r result
		defer func() { made <- r }()
		ns, err := os.Open("/var/run/netns/" + n.name)
		if err != nil {
			r.err = err
			return
		}
		defer func() { _ = ns.Close() }()
		if r.err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); r.err != nil { //nolint:gosec // a descriptor
			return
		}
		var d net.Dialer
		c, err := d.DialContext(n.t.Context(), "tcp", n.at)
		if err != nil {
			r.err = err
			return
		}
		n.t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		r.p, r.err = conformance.Open(c, nil)
	}()
	r := <-made
	return r.p, r.err
}

func (n *network) opened() *conformance.Peer {
	n.t.Helper()
	p, err := n.open()
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// TestNetworkLinkDown: a cable that is pulled is noticed within the pong wait.
func TestNetworkLinkDown(t *testing.T) {
	n := join(t)
	const wait = 3 * time.Second
	w := serve(n, &wsroute.Config{PingInterval: time.Second, PongTimeout: wait}, echo)
	p := n.opened()
	_ = say(p, text("there"))
	if _, err := p.Read(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	n.run("ip", "link", "set", n.dev, "down")
	w.caused(wsroute.ErrPeerLost)
	took(t, start, 0, wait+time.Second)
	t.Logf("a link that is down was noticed after %v; the pong wait is %v", time.Since(start), wait)
}

// TestNetworkReset is noticed at once.
func TestNetworkReset(t *testing.T) {
	n := join(t)
	w := serve(n, nil, echo)
	p := n.opened()
	start := time.Now()
	_ = p.Conn.(*net.TCPConn).SetLinger(0) // Close sends RST
	_ = p.Conn.Close()
	w.caused(wsroute.ErrPeerLost)
	took(t, start, 0, 2*time.Second)
	t.Logf("a reset was noticed after %v", time.Since(start))
}

// TestNetworkLoss: of sixty connections over a line that loses three packets of ten,
// each one is told its close code. Which three is counted, not drawn: of
// random ones, some connection would sooner or later lose every packet of its time.
func TestNetworkLoss(t *testing.T) {
	n := join(t, "nft")
	w := serve(n, nil, func(ctx context.Context, c *conn, _ none) error {
		if _, err := c.Receive(ctx); err != nil {
			return err
		}
		return c.Close(4001, "done")
	})
	n.inside("nft", "add table inet loss; add chain inet loss in { type filter hook input priority 0; };"+
		" add rule inet loss in numgen inc mod 10 { 0, 3, 6 } drop")
	const many = 60
	start := time.Now()
	told := make(chan error, many)
	for range many {
		go func() {
			p, err := n.open()
			if err == nil {
				err = say(p, text("close"))
			}
			if err == nil {
				if got := closed(p); got != "4001 done" {
					err = errors.New(got)
				}
			}
			told <- err
		}()
	}
	lost := 0
	for range many {
		if err := <-told; err != nil {
			lost++
			t.Error(err)
		}
	}
	for range many {
		w.caused(wsroute.ErrClosed)
	}
	t.Logf("of %d close codes %d were lost, in %v", many, lost, time.Since(start))
}

// TestNetworkSlowLine: a line of 10 kB a second is slow, not lost: all comes.
func TestNetworkSlowLine(t *testing.T) {
	n := join(t, "tc")
	const size, messages = 1 << 10, 60
	serve(n, &wsroute.Config{WriteTimeout: 2 * time.Second}, func(ctx context.Context, c *conn, _ none) error {
		for range messages {
			if err := c.Send(ctx, message{Data: make([]byte, size)}); err != nil {
				return err
			}
		}
		return nil
	})
	n.run("tc", "qdisc", "add", "dev", n.dev, "root", "tbf", "rate", "80kbit", "burst", "4kb", "latency", "300ms")
	p := n.opened()
	start := time.Now()
	for i := range messages {
		if e, err := p.Read(); err != nil || len(e.Payload) != size {
			t.Fatalf("message %d: %v, %v", i, e, err)
		}
	}
	if got := closed(p); got != "1000 " {
		t.Errorf("closed with %q", got)
	}
	took(t, start, 4*time.Second, 30*time.Second)
	t.Logf("%d kB came over a line of 10 kB/s in %v", size*messages>>10, time.Since(start))
}
