package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// spareFiles is what a process has open besides its connections.
const spareFiles = 50

// affordable is how many connections the limit of open files lets a process have,
// or as many as are wanted. The Go runtime has raised the limit to its maximum.
func affordable(wanted int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return min(wanted, int(limit.Cur)-spareFiles), nil
}

// possible is what is affordable of what is wanted, and notes the difference.
func (s *suite) possible(wanted int) (int, error) {
	count, err := affordable(wanted)
	if err == nil && count < wanted {
		note := fmt.Sprintf("WARNING: %d connections were not possible, as a process may not open so many files here: "+
			"they are %d instead.", wanted, count)
		if !slices.Contains(s.book.notes, note) {
			s.book.notes = append(s.book.notes, note)
			s.progress("%s", note)
		}
	}
	return count, err
}

// openMany opens connections that then wait, and returns them even if one fails.
func openMany(p *process, path string, count, workers int) ([]net.Conn, error) {
	conns := make([]net.Conn, count)
	a := asks(p.token)[0]
	a.path = path
	err := spread(count, workers, func(i int, r *bufio.Reader) (err error) {
		conns[i], err = a.open(p.addr, r)
		if err == nil && r.Buffered() > 0 {
			err = errors.New("something came behind the 101")
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s: opening %d connections: %w", p.name, count, err)
	}
	return conns, err
}

func closeMany(conns []net.Conn) {
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
}

// waiting is a sort of connections that wait for a message, and the rows of what they hold.
type waiting struct {
	path   string
	rows   string // their names, with a %s for what is held and a %d for how many wait
	goal   goal   // for their memory
	others bool   // the other libraries have it
}

var (
	waitingRoom    = waiting{roomPath + "lobby", "%s/%d", goalMemory, true}
	waitingChannel = waiting{channelPath + "lobby", "messages/%s-%d", goalChannelMemory, false}
)

// idles measure what a connection holds that waits for a message.
func (s *suite) idles() error { return s.idlesOf(waitingRoom) }

func (s *suite) idlesOf(w waiting) error {
	before := 0
	for _, wanted := range s.idle {
		count, err := s.possible(wanted)
		if err != nil {
			return err
		}
		if count == before {
			continue // it was measured
		}
		before = count
		for round := range s.idleRounds {
			s.progress("%d idle connections, round %d of %d", count, round+1, s.idleRounds)
			names := slices.Clone(s.all)
			if round == 0 && s.otherRounds > 0 && w.others {
				names = append(names, others...)
			}
			for _, name := range names {
				if err := s.idleRound(name, w, count); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *suite) idleRound(name string, w waiting, count int) (err error) {
	p, err := start(name, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := asks(p.token)[0].repeat(p.addr, 200); err != nil { // what is made once is not a connection's
		return fmt.Errorf("%s: %w", p.name, err)
	}
	before, err := p.tell("memory")
	if err != nil {
		return err
	}
	conns, err := openMany(p, w.path, count, workers)
	defer closeMany(conns)
	if err != nil {
		return err
	}
	time.Sleep(200 * time.Millisecond) // the last handlers begin to wait
	after, err := p.tell("memory")
	if err != nil {
		return err
	}
	for i, c := range conns {
		if err := waits(c); err != nil {
			return fmt.Errorf("%s: connection %d of %d: %w", p.name, i, count, err)
		}
	}
	add := func(what, unit string, goal goal, more float64) {
		s.book.row(fmt.Sprintf(w.rows, what, count), unit, goal).add(name, more/float64(count))
	}
	add("memory", "B", w.goal, after.Live-before.Live)
	add("rss", "B", noGoal, after.RSS-before.RSS)
	add("goroutines", "", noGoal, float64(after.Goroutines-before.Goroutines))
	return nil
}

// waits says whether a connection is still open and was told nothing but pings.
func waits(conn net.Conn) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var buf [64]byte
	var n int
	if late := raw.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), buf[:])
		return true // it is not waited for
	}); late != nil {
		return late
	}
	for told := buf[:max(n, 0)]; len(told) > 0; told = told[2:] {
		if len(told) < 2 || told[0] != 0x80|opPing || told[1] != 0 {
			return fmt.Errorf("is told %q while it waits", told)
		}
	}
	if n == 0 || n < 0 && !errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("is gone: %w", errors.Join(io.EOF, err))
	}
	return nil
}

// bursts open connections as fast as they can be opened, and drain the server:
// every peer must be told 1012, and no goroutine may be left.
func (s *suite) bursts() error {
	if s.burst == 0 {
		return nil
	}
	count, err := s.possible(s.burst)
	if err != nil {
		return err
	}
	for round := range s.rounds {
		s.progress("%d at once and drained, round %d of %d", count, round+1, s.rounds)
		for _, name := range pair {
			if err := s.burstRound(name, count); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) burstRound(name string, count int) (err error) {
	const atOnce = 500 // goroutines that dial; the kernel's queue has room for them
	p, err := start(name, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	before, err := p.tell("memory")
	if err != nil {
		return err
	}
	var conns []net.Conn
	defer func() { closeMany(conns) }()
	micros, err := p.spent(func() (err error) {
		conns, err = openMany(p, roomPath+"lobby", count, atOnce)
		return err
	})
	if err != nil {
		return err
	}
	errs := make([]error, len(conns))
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() { errs[i] = dismissed(c) })
	}
	drained, err := p.tell("drain")
	if err != nil {
		return err
	}
	wg.Wait()
	if err := firstOf(errs); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if err := settled(p, before.Goroutines); err != nil {
		return err
	}
	s.book.row(fmt.Sprintf("burst/%d", count), "µs", noGoal).add(name, micros/float64(count))
	s.book.row(fmt.Sprintf("drain/%d", count), "ms", noGoal).add(name, drained.Millis)
	return nil
}

// dismissed waits for the server's close frame, and answers it.
func dismissed(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 64)
	op, payload, err := readFrame(r, nil)
	if err != nil {
		return fmt.Errorf("instead of a close frame: %w", err)
	}
	if op != opClose || len(payload) < 2 || payload[0] != 1012>>8 || payload[1] != 1012&0xff {
		return fmt.Errorf("a drain sends %d %q, want close with 1012", op, payload)
	}
	_, err = conn.Write(frame(opClose, payload[:2]))
	return err
}

// settled waits until a server has no more goroutines than before.
func settled(p *process, before int) error {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		r, err := p.tell("memory")
		if err != nil || r.Goroutines <= before {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %d goroutines, before the connections %d", p.name, r.Goroutines, before)
		}
	}
}
