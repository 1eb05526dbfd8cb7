package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// smalls are the benchmarks of what is too small for a process of its own: those of
// package depends, which go test runs.
func (s *suite) smalls() error {
	if s.smallTime == "" {
		return nil
	}
	for round := range s.rounds {
		s.progress("resolving and parameters, round %d of %d", round+1, s.rounds)
		cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark(Resolve|Params|ParamsByHand)$",
			"-benchtime", s.smallTime, "example.com/usher/depends")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("go test: %w\n%s", err, out)
		}
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			if err := s.small(strings.Fields(lines.Text())); err != nil {
				return err
			}
		}
		for _, name := range []string{"resolve/25", "params/int"} {
			if row := s.book.row(name, "ns", noGoal); len(row.values["usher"]) != round+1 {
				return fmt.Errorf("go test has %d values of %s:\n%s", len(row.values["usher"]), name, out)
			}
		}
	}
	return nil
}

// small adds a line such as "BenchmarkResolve/deps=25-2 1000 1300 ns/op 52 ns/dep".
func (s *suite) small(words []string) error {
	if len(words) == 0 || !strings.HasPrefix(words[0], "Benchmark") {
		return nil
	}
	name, server := strings.TrimPrefix(words[0], "Benchmark"), "usher"
	if i := strings.LastIndexByte(name, '-'); i > 0 { // the number of processors
		name = name[:i]
	}
	if rest, ok := strings.CutPrefix(name, "ParamsByHand"); ok {
		name, server = "Params"+rest, "hand"
	}
	name = strings.ToLower(strings.Replace(name, "deps=", "", 1))
	held := goalResolve
	switch {
	case strings.HasSuffix(name, "alphanum"): // a regular expression
		held = noGoal
	case strings.HasPrefix(name, "params/"):
		held = goalParam
	}
	for i, unit := range words {
		if unit == "ns/dep" || unit == "ns/param" {
			value, err := strconv.ParseFloat(words[i-1], 64)
			if err != nil {
				return err
			}
			s.book.row(name, "ns", held).add(server, value)
		}
	}
	return nil
}
