package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// The names of the servers; those of pair, and of trio in a full run, take turns in every
// round.
var (
	pair   = []string{"usher", "hand"}
	trio   = []string{"usher", "hand", "lean"}
	others = []string{"coder", "gws", "melody"}
)

// The goals. Those in time itself are of a machine on which the server written by hand
// takes some 112 µs for an accepted handshake.
var (
	noGoal             goal
	goalAccepted       = byRatio(1.05)
	goalRefused        = byRatio(1.03)
	goalMallocs        = byMore(20)
	goalMemory         = byRatio(0.5)
	goalEcho           = byRatio(1.10)
	goalChannel        = byRatio(1.15)
	goalChannelMallocs = byMore(0)
	goalChannelMemory  = byRatio(0.33)
	goalTrace          = byRatioOf("traced", "usher", 1.02)
	goalResolve        = byValue(60, "ns")
	goalParam          = byValue(100, "ns")
	goalMount          = byValue(1000, "ms")
)

// suite is how much is measured.
type suite struct {
	rounds      int      // of usher and hand, in turn
	all         []string // the servers of every round: pair or trio
	otherRounds int      // of the others, in the first of them
	handshakes  int      // of each sort, each server and round
	messages    int      // echoed
	idle        []int    // connections that wait
	idleRounds  int
	algorithms  []string // beside HS256
	receivers   int      // of what one says
	burst       int      // connections opened at once and drained
	mounts      []int    // routes
	smallTime   string   // for each of the small benchmarks, as -benchtime has it; "" is none

	book book
	log  io.Writer // of progress
}

// run runs every benchmark of the suite. After an error nothing may be printed.
func (s *suite) run() error {
	steps := []func() error{s.handshakesHS256, s.otherAlgorithms, s.allocations, s.echoes, s.tracings, s.broadcasts, s.idles, s.channels, s.bursts, s.mountings, s.smalls}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) progress(format string, args ...any) { _, _ = fmt.Fprintf(s.log, format+"\n", args...) }

// names are the servers of a round. Every other round has them in reverse, so
// that none is always the first.
func (s *suite) names(round int) []string {
	return s.reversed(round, round < s.otherRounds)
}

// own are those of a round without the other libraries.
func (s *suite) own(round int) []string { return s.reversed(round, false) }

func (s *suite) reversed(round int, withOthers bool) []string {
	names := slices.Clone(s.all)
	if withOthers {
		names = append(names, others...)
	}
	if round%2 == 1 {
		slices.Reverse(names)
	}
	return names
}

// workers is how many clients are busy at once: enough to keep two cores busy,
// not so many that the servers work in batches.
const workers = 4

// spread runs work n times, from a few goroutines that each have a reader.
func spread(n, workers int, work func(i int, r *bufio.Reader) error) error {
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			r := bufio.NewReader(nil)
			for i := w; i < n && errs[w] == nil; i += workers {
				errs[w] = work(i, r)
			}
		})
	}
	wg.Wait()
	return firstOf(errs)
}

// firstOf is the first error of many, which will have the same reason.
func firstOf(errs []error) error {
	var found []error
	for _, err := range errs {
		if err != nil {
			found = append(found, err)
		}
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return found[0]
	}
	return fmt.Errorf("%w (and %d more)", found[0], len(found)-1)
}

// repeat makes n whole connections, each with the same handshake.
func (a ask) repeat(addr string, n int) error {
	return spread(n, workers, func(_ int, r *bufio.Reader) error { return a.whole(addr, r) })
}

func (s *suite) handshakesHS256() error {
	for round := range s.rounds {
		s.progress("handshakes, round %d of %d", round+1, s.rounds)
		if err := s.handshakeRound(s.names(round), "HS256", ""); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) otherAlgorithms() error {
	for _, algorithm := range s.algorithms {
		for round := range s.rounds {
			names := slices.Clone(pair)
			if round%2 == 1 {
				slices.Reverse(names)
			}
			s.progress("handshakes with %s, round %d of %d", algorithm, round+1, s.rounds)
			if err := s.handshakeRound(names, algorithm, "-"+algorithm); err != nil {
				return err
			}
		}
	}
	return nil
}

// handshakeRound measures whole connections, one sort of handshake after the
// other, each with every server. With a suffix only the accepted one.
func (s *suite) handshakeRound(names []string, algorithm, suffix string) (err error) {
	all, err := startAll(names, algorithm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.stop()) }()
	for i, a := range asks(all[0].token) {
		goal := goalRefused
		if a.status == 101 {
			goal = goalAccepted
		} else if suffix != "" {
			continue
		}
		row := s.book.row("handshake/"+a.name+suffix, "µs", goal)
		if err := all.inTurn(row, s.handshakes, func(p *process, n int) error { return asks(p.token)[i].repeat(p.addr, n) }); err != nil {
			return err
		}
	}
	return nil
}

// allocations counts those of a handshake, from its request to its end, which do not
// vary: one round will do.
func (s *suite) allocations() (err error) {
	const times = 400
	s.progress("allocations of handshakes")
	all, err := startAll(append(slices.Clone(s.all), others...), "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.stop()) }()
	for i, a := range asks(all[0].token) {
		row := s.book.row("mallocs/"+a.name, "", goalMallocs)
		for _, p := range all {
			count, err := p.allocated(func() error { return asks(p.token)[i].repeat(p.addr, times) })
			if err != nil {
				return err
			}
			row.add(p.name, count/times)
		}
	}
	return nil
}

// mountings measure how long usher takes to check its routes and make them.
func (s *suite) mountings() error {
	for _, routes := range s.mounts {
		for range s.rounds {
			millis, err := timeMount(routes)
			if err != nil {
				return err
			}
			s.book.row(fmt.Sprintf("mount/%d-routes", routes), "ms", goalMount).add("usher", millis)
		}
	}
	return nil
}
