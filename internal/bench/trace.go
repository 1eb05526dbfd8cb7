package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/usher/wsroute"
)

// traces are the servers that show what a Trace costs: usher without one, and with one whose
// functions do nothing.
var traces = []string{"usher", "traced"}

// traceRounds is how many rounds stand for one of the others.
const traceRounds = 3

// nothingTraced has every function of a Trace, each of which does nothing.
func nothingTraced() *wsroute.Trace {
	return &wsroute.Trace{
		HandshakeStart: func(ctx context.Context, _ wsroute.HandshakeInfo) context.Context { return ctx },
		HandshakeDone:  func(context.Context, wsroute.HandshakeInfo, wsroute.HandshakeResult) {},
		Opened:         func(ctx context.Context, _ wsroute.ConnInfo) context.Context { return ctx },
		ProviderStart:  func(ctx context.Context, _ wsroute.ProviderInfo) context.Context { return ctx },
		ProviderDone:   func(context.Context, wsroute.ProviderInfo, time.Duration, error) {},
		Received:       func(context.Context, wsroute.ReceivedInfo) {},
		Sent:           func(context.Context, wsroute.SentInfo) {},
		Dropped:        func(context.Context, wsroute.DropInfo) {},
		Pong:           func(context.Context, string, time.Duration) {},
		Closed:         func(context.Context, wsroute.ClosedInfo) {},
	}
}

// tracings measure what a Trace costs. That is less than two processes of the same server differ
// by, so there are more and shorter rounds, each of new ones.
func (s *suite) tracings() error {
	for round := range traceRounds * s.rounds {
		names := slices.Clone(traces)
		if round%2 == 1 {
			slices.Reverse(names)
		}
		s.progress("a Trace, round %d of %d", round+1, traceRounds*s.rounds)
		if err := s.traceRound(names); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) traceRound(names []string) (err error) {
	all, err := startAll(names, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.stop()) }()
	mallocs := s.book.row("trace/mallocs", "", noGoal)
	for _, p := range all {
		count, err := p.allocated(func() error { return asks(p.token)[0].repeat(p.addr, s.handshakes/traceRounds) })
		if err != nil {
			return err
		}
		mallocs.add(p.name, count/float64(s.handshakes/traceRounds))
	}
	err = all.inTurn(s.book.row("trace/handshake", "µs", goalTrace), s.handshakes/traceRounds, func(p *process, n int) error {
		return asks(p.token)[0].repeat(p.addr, n)
	})
	for _, size := range []int{64, 4 << 10} {
		if err == nil {
			err = all.echo(s.book.row(fmt.Sprintf("trace/echo-%d-B", size), "µs", goalTrace), roomPath+"lobby", size, s.messages/traceRounds)
		}
	}
	return err
}
