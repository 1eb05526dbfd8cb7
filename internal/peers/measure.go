package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gorilla/websocket"
)

// size is how much is measured.
type size struct {
	rounds, handshakes, echoes int // of each server
	idleRounds, idle           int
}

var (
	full  = size{rounds: 15, handshakes: 800, echoes: 12000, idleRounds: 5, idle: 1000}
	brief = size{rounds: 2, handshakes: 100, echoes: 1600, idleRounds: 1, idle: 100}
)

// figure is one column of the table.
type figure struct {
	name, unit string
	values     map[string][]float64 // of each server, by round
}

func (f *figure) add(server string, value float64) {
	f.values[server] = append(f.values[server], value)
}

// median is that of a server, and ratio that of its ratios to usher, round by round.
func (f *figure) median(server string) float64 { return median(f.values[server]) }

func (f *figure) ratio(server string) float64 {
	ratios := slices.Clone(f.values[server])
	for i := range ratios {
		ratios[i] /= f.values["usher"][i]
	}
	return median(ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// book has all figures.
type book struct {
	accepted, refused, echo, idle, empty figure
	acceptedRate, echoRate               figure
}

func (b *book) columns() []*figure {
	return []*figure{
		&b.accepted, &b.refused, &b.echo, &b.idle, &b.empty, &b.acceptedRate, &b.echoRate,
	}
}

func newBook() *book {
	of := func(name, unit string) figure { return figure{name, unit, map[string][]float64{}} }
	return &book{
		accepted: of("accepted", "µs"), refused: of("refused", "µs"), echo: of("echo", "µs"),
		idle: of("idle connection", "KiB"), empty: of("empty server", "MiB"),
		acceptedRate: of("accepted", "a second"), echoRate: of("echoes", "a second"),
	}
}

// bench is one run.
type bench struct {
	size
	peers              []installation
	secret, good, evil string
	book               *book
}

// measure takes all figures. There is no figure of a server that answers anything but what it must.
func measure(ctx context.Context, s size, all []installation, log io.Writer) (*book, error) {
	b := bench{size: s, peers: all, secret: rand.Text() + rand.Text(), book: newBook()}
	var err error
	if b.good, err = sign(b.secret, goodClaims()); err != nil {
		return nil, err
	}
	b.evil = forged(b.good)
	if err := b.work(ctx, log); err != nil {
		return nil, err
	}
	for round := range s.idleRounds {
		_, _ = fmt.Fprintf(log, "memory, round %d of %d\n", round+1, s.idleRounds)
		for _, i := range b.inTurn(round) {
			if err := b.memory(ctx, i); err != nil {
				return nil, fmt.Errorf("%s: %w", i.name, err)
			}
		}
	}
	return b.book, nil
}

// inTurn reverses every other round, so that no server is always the first.
func (b *bench) inTurn(round int) []installation {
	order := slices.Clone(b.peers)
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// work measures time. All servers run, and only one of them is busy.
func (b *bench) work(ctx context.Context, log io.Writer) error {
	running := map[string]*process{}
	for _, i := range b.peers {
		p, err := start(ctx, i, b.secret)
		if err != nil {
			return err
		}
		defer p.stop()
		running[i.name] = p
	}
	for round := range b.rounds + 1 { // the first one is to warm up
		_, _ = fmt.Fprintf(log, "time, round %d of %d\n", round, b.rounds)
		for _, kind := range []func(context.Context, *process, bool) error{b.accept, b.refuse, b.talk} {
			for _, i := range b.inTurn(round) {
				p := running[i.name]
				if err := errors.Join(kind(ctx, p, round > 0), p.alone()); err != nil {
					return fmt.Errorf("%s: %w", i.name, err)
				}
			}
		}
	}
	return nil
}

func (b *bench) accept(ctx context.Context, p *process, counts bool) error {
	micros, rate, err := spent(p, b.handshakes, func() error {
		return spread(ctx, b.handshakes, workers, func(ctx context.Context, _ int) error {
			return accepted(ctx, p.addr, b.good)
		})
	})
	if err == nil && counts {
		b.book.accepted.add(p.name, micros)
		b.book.acceptedRate.add(p.name, rate)
	}
	return err
}

func (b *bench) refuse(ctx context.Context, p *process, counts bool) error {
	micros, _, err := spent(p, b.handshakes, func() error {
		return spread(ctx, b.handshakes, workers, func(ctx context.Context, _ int) error {
			return refused(ctx, p.addr, b.evil)
		})
	})
	if err == nil && counts {
		b.book.refused.add(p.name, micros)
	}
	return err
}

func (b *bench) talk(ctx context.Context, p *process, counts bool) error {
	conns, err := open(ctx, p.addr, b.good, talkers)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	talk := func(times int) error {
		return spread(ctx, talkers, talkers, func(_ context.Context, i int) error {
			return echo(conns[i], times)
		})
	}
	if err := talk(1); err != nil { // now no handshake is under way
		return err
	}
	micros, rate, err := spent(p, b.echoes, func() error { return talk(b.echoes / talkers) })
	if err == nil && counts {
		b.book.echo.add(p.name, micros)
		b.book.echoRate.add(p.name, rate)
	}
	return err
}

// spent runs work, which does something so many times, and returns the server's processor time of
// each, and how many were done in a second.
func spent(p *process, times int, work func() error) (micros, rate float64, err error) {
	begin := time.Now()
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	if err := work(); err != nil {
		return 0, 0, err
	}
	wall := time.Since(begin)
	time.Sleep(5 * time.Millisecond) // the server sees the end of the last ones after the client
	after, err := p.cpu()
	n := float64(times)
	return float64((after - before).Microseconds()) / n, n / wall.Seconds(), err
}

// memory measures a new server: warm and empty, and then with connections that have said something
// and wait.
func (b *bench) memory(ctx context.Context, i installation) error {
	p, err := start(ctx, i, b.secret)
	if err != nil {
		return err
	}
	defer p.stop()
	warm, err := open(ctx, p.addr, b.good, talkers)
	if err == nil {
		err = each(warm, func(conn *websocket.Conn) error {
			return errors.Join(echo(conn, 1), leave(conn))
		})
	}
	if err != nil {
		return err
	}
	empty, err := p.resident()
	if err != nil {
		return err
	}
	conns, err := open(ctx, p.addr, b.good, b.idle)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	if err := each(conns, func(conn *websocket.Conn) error { return echo(conn, 1) }); err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // what was for the handshakes alone is released
	busy, err := p.resident()
	if err != nil {
		return err
	}
	b.book.empty.add(p.name, empty/(1<<20))
	b.book.idle.add(p.name, (busy-empty)/float64(b.idle)/(1<<10))
	return errors.Join(p.alone(), each(conns, leave))
}

func each(conns []*websocket.Conn, do func(*websocket.Conn) error) error {
	for _, conn := range conns {
		if err := do(conn); err != nil {
			return err
		}
	}
	return nil
}
