// Command bench measures usher against the same guarded room, written by hand on
// gin and gorilla/websocket and on three other libraries. Each server runs as a
// process of its own; what counts is the processor time and the memory of that
// process, as a ratio to the hand-written server's in the same run.
//
//	go run . [-write file]    everything, as a table
//	go run . quick            a few ratios, one a line, in less than a minute
//	go run . profile server handshake directory
//	go test -run '^$' -bench Handshake/usher/refused-no-token -benchtime 20000x
//
// A server that answers anything but what it was asked for ends the run without
// a figure.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gin-gonic/gin"
)

// full is what docs/performance.md shows.
func full() *suite {
	return &suite{
		rounds: 9, all: trio, otherRounds: 3, handshakes: 2000, messages: 16000,
		idle: []int{1000, 5000, 20000}, idleRounds: 5, algorithms: []string{"RS256", "ES256"},
		receivers: 1000, burst: 5000, mounts: []int{250, 500, 1000}, smallTime: "200ms",
	}
}

// quick is for while one works on usher.
func quick() *suite {
	return &suite{rounds: 5, all: pair, handshakes: 2000, messages: 12000, idle: []int{1000}, idleRounds: 3}
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	write := flags.String("write", "", "the `file` to write the table to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	switch {
	case len(args) == 0:
		s := full()
		s.log = stderr
		if err := s.run(); err != nil {
			return err
		}
		for _, r := range s.book.rows {
			if r.holds() == "no" {
				s.progress("%s is not within its goal, %s", r.name, r.goal.text)
			}
		}
		text := document(&s.book)
		if *write != "" {
			if err := os.WriteFile(*write, []byte(text), 0o644); err != nil {
				return err
			}
		}
		_, err := io.WriteString(stdout, text)
		return err
	case len(args) == 1 && args[0] == "quick":
		s := quick()
		s.log = stderr
		if err := s.run(); err != nil {
			return err
		}
		_, err := io.WriteString(stdout, ratios(&s.book))
		return err
	case len(args) == 3 && args[0] == "serve":
		return control(args[1], args[2], stdin, stdout)
	case len(args) == 2 && args[0] == "mount":
		routes, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return mount(routes, stdout)
	case len(args) == 4 && args[0] == "profile":
		return profiles(args[1], args[2], args[3])
	}
	return fmt.Errorf("do not know what %q is: see the comment of the command", args)
}

// profiles writes the profiles cpu.pprof and allocs.pprof of a server that
// answers one sort of handshake.
func profiles(server, handshake, dir string) (err error) {
	const times = 50000
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	p, err := start(server, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	for _, a := range asks(p.token) {
		if a.name != handshake {
			continue
		}
		steps := []func() error{
			func() error { _, err := p.tell("profile cpu " + filepath.Join(dir, "cpu.pprof")); return err },
			func() error { return a.repeat(p.addr, times) },
			func() error { _, err := p.tell("profile stop -"); return err },
			func() error { _, err := p.tell("profile allocs " + filepath.Join(dir, "allocs.pprof")); return err },
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no handshake %q", handshake)
}
