package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// The names of the servers; the first two take turns in every round.
var (
	pair   = []string{"usher", "hand"}
	others = []string{"coder", "gws", "melody", "lean"}
)

// Goals, as ratios of usher to the server written by hand.
const (
	goalAccepted = 1.05
	goalRefused  = 1.03
	goalMemory   = 0.5
	goalEcho     = 1.10
)

// suite is how much is measured.
type suite struct {
	rounds      int   // of usher and hand, in turn
	otherRounds int   // of the others, in the first of them
	handshakes  int   // of each sort, each server and round
	messages    int   // echoed
	idle        []int // connections that wait
	idleRounds  int
	algorithms  []string // beside HS256
	receivers   int      // of what one says
	burst       int      // connections opened at once and drained
	mounts      []int    // routes
	smallTime   string   // for each of the small benchmarks, as -benchtime has it; "" is none

	book book
	log  io.Writer // of progress
}

// all runs every benchmark of the suite. After an error nothing may be printed.
func (s *suite) all() error {
	steps := []func() error{s.handshakesHS256, s.otherAlgorithms, s.echoes, s.broadcasts, s.idles, s.bursts, s.mountings, s.smalls}
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
	names := slices.Clone(pair)
	if round < s.otherRounds {
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
	return errors.Join(errs...)
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

// mountings measure how long usher takes to check its routes and make them.
func (s *suite) mountings() error {
	for _, routes := range s.mounts {
		for range s.rounds {
			millis, err := timeMount(routes)
			if err != nil {
				return err
			}
			s.book.row(fmt.Sprintf("mount/%d-routes", routes), "ms", 0).add("usher", millis)
		}
	}
	return nil
}
