package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// process is a server that runs as a process of its own, so that the driver's
// work does not count.
type process struct {
	name        string
	addr, token string
	cmd         *exec.Cmd
	stdin       io.WriteCloser
	replies     *json.Decoder
}

// asServer, in the environment, makes any binary of this module a server: the
// tests' binary as well.
const asServer = "USHER_BENCH_SERVE"

// start runs this binary again, as the server of a name.
func start(name, algorithm string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "serve", name, algorithm)
	cmd.Env = append(os.Environ(), asServer+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, stdin: stdin, replies: json.NewDecoder(bufio.NewReader(stdout))}
	first, err := p.read()
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.addr, p.token = first.Addr, first.Token
	return p, nil
}

func (p *process) read() (reply, error) {
	var r reply
	if err := p.replies.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: the server has ended: %w", p.name, err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s: %s", p.name, r.Error)
	}
	return r, nil
}

// tell sends a command and returns the answer.
func (p *process) tell(command string) (reply, error) {
	if _, err := io.WriteString(p.stdin, command+"\n"); err != nil {
		return reply{}, fmt.Errorf("%s: %w", p.name, err)
	}
	return p.read()
}

// spent runs work and returns the CPU time that it cost the server, in µs.
func (p *process) spent(work func() error) (float64, error) {
	before, err := p.tell("usage")
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	time.Sleep(2 * time.Millisecond) // the server sees the end of the last ones after we do
	after, err := p.tell("usage")
	return after.CPU - before.CPU, err
}

// allocated runs work and returns how many allocations the server made meanwhile.
func (p *process) allocated(work func() error) (float64, error) {
	if err := work(); err != nil { // it warms up
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	before, err := p.tell("mallocs")
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	time.Sleep(2 * time.Millisecond) // as for the time that was spent
	after, err := p.tell("mallocs")
	return after.Mallocs - before.Mallocs, err
}

// stop ends the process. One that does not end by itself is killed.
func (p *process) stop() error {
	_ = p.stdin.Close()
	timer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// ensemble runs some servers at once, of which the driver keeps only one busy.
type ensemble []*process

func startAll(names []string, algorithm string) (ensemble, error) {
	var all ensemble
	for _, name := range names {
		p, err := start(name, algorithm)
		if err != nil {
			return nil, errors.Join(err, all.stop())
		}
		all = append(all, p)
	}
	return all, nil
}

// turns is how often the servers take turns within a round. The more, the less it
// matters what else the machine does.
const turns = 20

// inTurn adds to a row what a piece of work costs each server, of so many.
func (e ensemble) inTurn(row *row, times int, work func(p *process, times int) error) error {
	each := max(1, times/turns)
	costs := make([]float64, len(e))
	for turn := range turns + 1 {
		for k := range e {
			i := k
			if turn%2 == 1 { // so that none is always the first
				i = len(e) - 1 - k
			}
			p := e[i]
			micros, err := p.spent(func() error { return work(p, each) })
			if err != nil {
				return err
			}
			if turn > 0 { // the first is to warm up
				costs[i] += micros
			}
		}
	}
	for i, p := range e {
		row.add(p.name, costs[i]/float64(turns*each))
	}
	return nil
}

func (e ensemble) stop() error {
	var errs []error
	for _, p := range e {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}
