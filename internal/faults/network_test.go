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
	serverDevice  = "usher0"
	clientDevice  = "usher1"
)

// A namespace is a network of its own: interfaces, addresses, routes and filters. It has
// no name, so that it ends with the process even where that is killed: what a run leaves
// behind can not stand in the next one's way.
type namespace struct{ file *os.File }

// network is two namespaces, the server's and the clients', joined by one pair of
// interfaces. Nothing of the machine's own network is used or changed.
type network struct {
	t              *testing.T
	server, client namespace
	at             string // where the server listens
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
	n := &network{t: t, server: unshare(t), client: unshare(t)}
	n.run(n.server, "ip", "link", "add", serverDevice, "type", "veth", "peer", "name", clientDevice,
		"netns", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.client.file.Fd()))
	n.run(n.server, "ip", "addr", "add", serverAddress+"/30", "dev", serverDevice)
	n.run(n.server, "ip", "link", "set", serverDevice, "up")
	n.run(n.client, "ip", "addr", "add", clientAddress+"/30", "dev", clientDevice)
	n.run(n.client, "ip", "link", "set", clientDevice, "up")
	return n
}

// unshare makes a namespace, or skips the test where it cannot.
func unshare(t *testing.T) namespace {
	t.Helper()
	var s namespace
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
		s.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Skipf("no network namespace can be made here: %v", err)
	}
	t.Cleanup(func() { _ = s.file.Close() })
	return s
}

// do calls f within the namespace. Sockets and processes belong to that of the thread
// that makes them.
func (s namespace) do(f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil { //nolint:gosec // a descriptor
			return err
		}
		return f()
	})
}

// onOwnThread calls f on a thread that is not used for anything else.
func onOwnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

func (n *network) run(in namespace, command ...string) {
	n.t.Helper()
	err := in.do(func() error {
		out, err := exec.CommandContext(n.t.Context(), command[0], command[1:]...).CombinedOutput() //nolint:gosec // the test's own words
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		n.t.Fatalf("%s: %v", strings.Join(command, " "), err)
	}
}

// serve starts a server in its namespace.
func serve(n *network, config *wsroute.Config, handler func(context.Context, *conn, none) error) *world {
	n.t.Helper()
	w := begin(n.t, depends.New(), config, handler)
	routes, err := w.ws.Handler()
	if err != nil {
		n.t.Fatal(err)
	}
	var l net.Listener
	err = n.server.do(func() error {
		var err error
		l, err = net.Listen("tcp", serverAddress+":0") //nolint:noctx // it is the server's to close
		return err
	})
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

// open connects from within the clients' namespace.
func (n *network) open() (*conformance.Peer, error) {
	var p *conformance.Peer
	err := n.client.do(func() error {
		d := net.Dialer{Timeout: time.Minute}
		c, err := d.DialContext(n.t.Context(), "tcp", n.at)
		if err != nil {
			return err
		}
		n.t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		p, err = conformance.Open(c, nil)
		return err
	})
	return p, err
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
	w := serve(n, &wsroute.Config{Limits: wsroute.Limits{PingInterval: time.Second, PongTimeout: wait}}, echo)
	p := n.opened()
	_ = say(p, text("there"))
	if _, err := p.Read(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	n.run(n.server, "ip", "link", "set", serverDevice, "down")
	w.caused(wsroute.ErrPeerLost)
	took(t, start, 0, wait+time.Second)
	t.Logf("a link that is down was noticed after %v; the pong wait is %v", time.Since(start), wait)
}

// TestNetworksAreApart: two networks with the same addresses are in use at a time, as
// when two runs of these tests meet.
func TestNetworksAreApart(t *testing.T) {
	both := []*network{join(t), join(t)}
	for _, n := range both {
		serve(n, nil, echo)
	}
	for _, n := range both {
		p := n.opened()
		_ = say(p, text("there"))
		if e, err := p.Read(); err != nil || string(e.Payload) != "there" {
			t.Errorf("the answer was %q, %v", e.Payload, err)
		}
	}
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
	n.run(n.client, "nft", "add table inet loss; add chain inet loss in { type filter hook input priority 0; };"+
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
	serve(n, &wsroute.Config{Limits: wsroute.Limits{WriteTimeout: 2 * time.Second}}, func(ctx context.Context, c *conn, _ none) error {
		for range messages {
			if err := c.Send(ctx, message{Data: make([]byte, size)}); err != nil {
				return err
			}
		}
		return nil
	})
	n.run(n.server, "tc", "qdisc", "add", "dev", serverDevice, "root", "tbf", "rate", "80kbit", "burst", "4kb", "latency", "300ms")
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

// TestNetworkSlowLineIsAlive: the peer answers a ping that stands behind much more than the
// line carries in the time that a ping has, and what the line has carried is life.
func TestNetworkSlowLineIsAlive(t *testing.T) {
	n := join(t, "tc")
	const size, messages = 8 << 10, 64
	limits := wsroute.Limits{PingInterval: time.Second, PongTimeout: 2 * time.Second}
	w := serve(n, &wsroute.Config{Limits: limits}, func(ctx context.Context, c *conn, _ none) error {
		for range messages {
			if err := c.Send(ctx, message{Data: make([]byte, size)}); err != nil {
				return err
			}
		}
		_, err := c.Receive(ctx)
		return err
	})
	n.run(n.server, "tc", "qdisc", "add", "dev", serverDevice, "root", "tbf", "rate", "640kbit", "burst", "4kb", "latency", "300ms")
	p := n.opened()
	start := time.Now()
	for i := 0; i < messages; {
		e, err := p.Read()
		switch {
		case err != nil:
			t.Fatalf("after %d messages and %v: %v; the handler's context ended with %v", i, time.Since(start), err, <-w.ends)
		case e.Opcode == conformance.Ping:
			_ = say(p, conformance.Frame{Opcode: conformance.Pong, Payload: e.Payload})
		default:
			i++
		}
	}
	took(t, start, 4*time.Second, 30*time.Second)
	t.Logf("%d kB came over a line of 80 kB/s in %v", size*messages>>10, time.Since(start))
}
