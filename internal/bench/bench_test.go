package main

import (
	"fmt"
	"io"
	"testing"
)

// The benchmarks are rounds of the suite, for who works on one thing and does not want to
// wait for all of `make bench`. What they report is the servers' own: processor time or
// memory, and usher's ratio.

func BenchmarkHandshake(b *testing.B) {
	all, err := startAll(pair, "HS256")
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := all.stop(); err != nil {
			b.Error(err)
		}
	}()
	for i, a := range asks(all[0].token) {
		b.Run(a.name, func(b *testing.B) {
			var own book
			err := all.inTurn(own.row(a.name, "µs", 0), b.N, func(p *process, n int) error { return asks(p.token)[i].repeat(p.addr, n) })
			tell(b, &own, err)
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{64, 4 << 10} {
		b.Run(fmt.Sprintf("%d-B", size), func(b *testing.B) {
			s := &suite{messages: max(b.N, 8*turns), log: io.Discard}
			tell(b, &s.book, s.echoRound(pair, size))
		})
	}
}

func BenchmarkIdleMemory(b *testing.B) {
	count, err := affordable(1000)
	if err != nil {
		b.Fatal(err)
	}
	s := &suite{log: io.Discard}
	for b.Loop() {
		for _, name := range pair {
			if err := s.idleRound(name, count); err != nil {
				b.Fatal(err)
			}
		}
	}
	tell(b, &s.book, nil)
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

// tell reports the first row of a book.
func tell(b *testing.B, own *book, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	row := own.rows[0]
	for _, name := range pair {
		value, _ := summarise(row.values[name])
		b.ReportMetric(value.median, name+"-"+row.unit)
	}
	ratio, _ := row.ratio("usher")
	b.ReportMetric(ratio.median, "ratio")
	b.ReportMetric(0, "ns/op") // the client's
}
