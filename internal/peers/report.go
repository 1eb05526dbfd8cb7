package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// table is what a run has found, in markdown.
func table(b *book, s size, all []installation, omitted []string) string {
	var out strings.Builder
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(&out, format, args...) }
	p("Measured on %s: %s/%s, %d cores%s, server and client on loopback.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		processor())
	p("Medians of %d rounds (memory: %d). Behind each is its ratio to usher, the median of those of\n"+
		"the rounds.\n\n", s.rounds, s.idleRounds)
	p("| server |")
	for _, f := range b.columns() {
		p(" %s, %s |", f.name, f.unit)
	}
	p("\n|---|%s\n", strings.Repeat("---|", len(b.columns())))
	for _, i := range all {
		p("| %s |", i.title)
		for _, f := range b.columns() {
			p(" %s, %.2f |", short(f.median(i.name)), f.ratio(i.name))
		}
		p("\n")
	}
	p("\n| server | versions |\n|---|---|\n")
	for _, i := range all {
		versions, err := i.versions(context.Background(), i.dir)
		if err != nil {
			versions = err.Error()
		}
		p("| %s | %s |\n", i.title, versions)
	}
	for _, line := range omitted {
		p("\n%s\n", line)
	}
	return out.String()
}

// short has three digits, or all before the point.
func short(value float64) string {
	switch {
	case value < 10:
		return fmt.Sprintf("%.2f", value)
	case value < 100:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.0f", value)
}

// processor names the machine's, if Linux knows its name.
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return " (" + strings.TrimSpace(value) + ")"
		}
	}
	return ""
}

// The table stands between these lines.
const (
	above = "<!-- the table of `make peers` begins -->\n"
	below = "<!-- the table of `make peers` ends -->\n"
)

// insert replaces the table in a file.
func insert(file, table string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), above)
	_, after, ok2 := strings.Cut(rest, below)
	if !ok || !ok2 {
		return fmt.Errorf("%s has not the lines %q and %q", file, above, below)
	}
	return os.WriteFile(file, []byte(before+above+"\n"+table+"\n"+below+after), 0o644)
}
