package main

import (
	"errors"
	"fmt"
	"testing"
)

// The benchmarks ask one server at a time, for who works on one thing. What they report
// is the server's own: processor time, allocations or memory. Ratios are `make bench`'s.

// titles are the servers by the names that benchmarks give them.
var titles = map[string]string{"usher": "usher", "hand": "handwritten"}

// each runs a benchmark with each server of the pair, as a process of its own.
func each(b *testing.B, run func(b *testing.B, p *process)) {
	for _, name := range pair {
		b.Run(titles[name], func(b *testing.B) {
			p, err := start(name, "HS256")
			if err != nil {
				b.Fatal(err)
			}
			defer func() {
				if err := p.stop(); err != nil {
					b.Error(err)
				}
			}()
			run(b, p)
		})
	}
}

func BenchmarkHandshake(b *testing.B) {
	each(b, func(b *testing.B, p *process) {
		for _, a := range asks(p.token) {
			name := a.name
			if a.status != 101 {
				name = "refused-" + name
			}
			b.Run(name, func(b *testing.B) {
				count, err := p.allocated(func() error {
					return cost(b, p, func(n int) error { return a.repeat(p.addr, n) })
				})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(count/float64(b.N), "mallocs")
			})
		}
	})
}

func BenchmarkEcho(b *testing.B) {
	each(b, func(b *testing.B, p *process) {
		for _, size := range []int{64, 4 << 10} {
			b.Run(fmt.Sprintf("%d-B", size), func(b *testing.B) { echo(b, p, roomPath, size) })
		}
	})
}

func BenchmarkMessages(b *testing.B) {
	each(b, func(b *testing.B, p *process) { echo(b, p, channelPath, 64) })
}

func echo(b *testing.B, p *process, path string, size int) {
	t, err := openTalker(p, path+"lobby", size)
	if err != nil {
		b.Fatal(err)
	}
	defer t.conn.Close()
	if err := errors.Join(cost(b, p, t.echo), content(p, []*talker{t})); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkIdleMemory(b *testing.B) {
	for _, name := range pair {
		b.Run(titles[name], func(b *testing.B) {
			count, err := affordable(1000)
			if err != nil {
				b.Fatal(err)
			}
			s := &suite{}
			for b.Loop() {
				if err := errors.Join(s.idleRound(name, waitingRoom, count), s.idleRound(name, waitingChannel, count)); err != nil {
					b.Fatal(err)
				}
			}
			for _, row := range s.book.rows {
				value, _ := summarise(row.values[name])
				b.ReportMetric(value.median, row.name+"-"+row.unit)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func BenchmarkMount(b *testing.B) {
	var total float64
	for b.Loop() {
		millis, err := timeMount(1000)
		if err != nil {
			b.Fatal(err)
		}
		total += millis
	}
	b.ReportMetric(total/float64(b.N), "ms")
	b.ReportMetric(0, "ns/op") // a process starts, too
}

// cost reports what work of so many costs the server.
func cost(b *testing.B, p *process, work func(n int) error) error {
	micros, err := p.spent(func() error { return work(b.N) })
	b.ReportMetric(micros/float64(b.N), "server-µs")
	b.ReportMetric(0, "ns/op") // the client's
	return err
}
