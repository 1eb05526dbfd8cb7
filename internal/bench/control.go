package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

// servers are what can be run, by name.
var servers = map[string]func(context.Context, net.Listener, identity) error{
	"usher":  serveUsher,
	"traced": serveTraced,
	"hand":   serveHand,
	"coder":  serveCoder,
	"gws":    serveGWS,
	"melody": serveMelody,
	"lean":   serveLean,
}

// reply is one line of a server's process to the driver.
type reply struct {
	Error      string  `json:"error,omitempty"`
	Addr       string  `json:"addr,omitempty"`
	Token      string  `json:"token,omitempty"`
	CPU        float64 `json:"cpu,omitempty"`  // of the process so far, user and system, in µs
	Live       float64 `json:"live,omitempty"` // heap and stacks after two collections, in bytes
	RSS        float64 `json:"rss,omitempty"`  // after them
	Mallocs    float64 `json:"mallocs,omitempty"`
	Goroutines int     `json:"goroutines,omitempty"`
	Members    int     `json:"members,omitempty"` // of all halls
	Millis     float64 `json:"millis,omitempty"`
}

// control serves a room and answers, line by line, what the driver asks of the
// process, until there is nothing more to read.
func control(name, algorithm string, stdin io.Reader, stdout io.Writer) error {
	serve := servers[name]
	if serve == nil {
		return fmt.Errorf("no server %q", name)
	}
	id, err := newIdentity(algorithm)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, id) }()
	out := json.NewEncoder(stdout)
	if err := out.Encode(reply{Addr: listener.Addr().String(), Token: id.token}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		var r reply
		switch words := strings.Fields(lines.Text()); words[0] {
		case "usage":
			r.CPU, err = cpu()
		case "memory":
			r, err = memory()
		case "mallocs":
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			r.Mallocs = float64(m.Mallocs)
		case "members":
			r.Members = int(attendance.Load())
		case "drain":
			begin := time.Now()
			cancel()
			err = <-ended
			r.Millis = float64(time.Since(begin).Microseconds()) / 1000
			r.Goroutines = runtime.NumGoroutine()
		case "profile":
			err = profile(words[1], words[2])
		default:
			err = fmt.Errorf("unknown command %q", words)
		}
		if err != nil {
			r.Error = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// cpu is the time that the process has run.
func cpu() (micros float64, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	of := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e6 + float64(t.Usec) }
	return of(u.Utime) + of(u.Stime), nil
}

// memory collects twice, the second time giving back what is free.
func memory() (reply, error) {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r := reply{Live: float64(m.HeapAlloc + m.StackInuse), Goroutines: runtime.NumGoroutine()}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return r, err
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return r, err
	}
	r.RSS = resident * float64(os.Getpagesize())
	return r, nil
}

// profile begins or ends a profile: cpu and a file, stop and -, allocs and a file.
func profile(what, file string) error {
	if what == "stop" {
		pprof.StopCPUProfile()
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if what == "cpu" {
		return pprof.StartCPUProfile(f) // closed with the process
	}
	defer f.Close()
	return pprof.Lookup(what).WriteTo(f, 0)
}
