// Command peers compares usher with what people use elsewhere: the same guarded room, in each
// framework as its documentation has it, as a process of its own. What counts is the processor time
// and the memory of that process.
//
//	go run .           prints the table
//	go run . -write    also puts it into docs/peers.md
//	go run . -short    a few rounds, to see that all of it works
//
// It installs what the servers need into the user's cache. A server that cannot be installed on
// this machine is left out, and the table says so.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit bounds the measuring, without the installing.
const limit = 8 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	write := flags.Bool("write", false, "put the table into docs/peers.md")
	short := flags.Bool("short", false, "measure a few rounds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	installed, omitted, err := installAll(ctx, stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	size := full
	if *short {
		size = brief
	}
	b, err := measure(ctx, size, installed, stderr)
	if err != nil {
		return err
	}
	text := table(b, size, installed, omitted)
	if *write {
		if err := insert("../../docs/peers.md", text); err != nil {
			return err
		}
	}
	_, err = io.WriteString(stdout, text)
	return err
}
