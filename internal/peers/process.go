package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a server may take to answer anything.
const patience = 20 * time.Second

// process is a server that runs.
type process struct {
	name, addr string
	cmd        *exec.Cmd
	ended      chan struct{}
}

// start runs a server and waits until it accepts connections. The server is killed when ctx ends,
// and with this process.
func start(ctx context.Context, i installation, secret string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	command := i.command(i.dir, port)
	p := &process{name: i.name, addr: "127.0.0.1:" + port, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, command[0], command[1:]...)
	p.cmd.Env = append(os.Environ(), "PEERS_SECRET="+secret, "PEERS_PORT="+port)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp4", p.addr)
		if err == nil {
			return p, conn.Close()
		}
		if time.Now().After(end) || p.hasEnded() {
			p.stop()
			return nil, fmt.Errorf("%s does not listen: %w", i.name, err)
		}
	}
}

// freePort is free at this moment; the server takes it at once.
func freePort() (string, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, errors.Join(err, listener.Close())
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stop kills the server and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// cpu is the processor time of all threads of the process so far: its clock, which counts
// nanoseconds, as /proc/pid/stat counts hundredths of a second.
func (p *process) cpu() (time.Duration, error) {
	pid := p.cmd.Process.Pid
	var now unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &now); err != nil {
		return 0, fmt.Errorf("%s: its processor time: %w", p.name, err)
	}
	return time.Duration(now.Nano()), nil
}

// alone fails if the server has processes below it, whose time and memory would be missed.
func (p *process) alone() error {
	pattern := fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid)
	files, err := filepath.Glob(pattern)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no %s", pattern)
	}
	for _, file := range files {
		children, readErr := os.ReadFile(file)
		if err = errors.Join(err, readErr); len(children) > 0 {
			err = errors.Join(err, fmt.Errorf("%s has child processes: %s", p.name, children))
		}
	}
	return err
}

// resident is the memory of the process, in bytes.
func (p *process) resident() (float64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/statm")
	if err != nil {
		return 0, err
	}
	var size, pages float64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0, err
	}
	return pages * float64(os.Getpagesize()), nil
}
