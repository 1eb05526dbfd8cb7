package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// ratios prints what quick is for: a name and a ratio a line.
func ratios(b *book) string {
	var text strings.Builder
	for _, r := range b.rows {
		for _, of := range [][2]string{{"usher", "hand"}, {"traced", "usher"}} {
			if ratio, ok := r.ratio(of[0], of[1]); ok {
				fmt.Fprintf(&text, "%s %.3f\n", r.name, ratio.median)
			}
		}
	}
	return text.String()
}

// compared are the modules whose versions matter.
var compared = []string{
	"github.com/gin-gonic/gin", "github.com/gorilla/websocket", "github.com/golang-jwt/jwt/v5",
	"github.com/go-playground/validator/v10", "github.com/coder/websocket", "github.com/lxzan/gws", "github.com/olahol/melody",
}

// document is docs/performance.md.
func document(b *book) string {
	var text strings.Builder
	text.WriteString(preface)
	fmt.Fprintf(&text, "Measured on %s with `make bench`: %s on %s/%s, %d cores, server and client on loopback.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	text.WriteString("| module | version |\n|---|---|\n")
	for _, m := range compared {
		fmt.Fprintf(&text, "| %s | %s |\n", m, version(m))
	}
	text.WriteString("\n## usher and the server written by hand\n\n" + pairNotes)
	for _, note := range b.notes {
		text.WriteString(note + "\n\n")
	}
	text.WriteString("| benchmark | usher | by hand | lean | to by hand | to lean | goal | holds |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range b.rows {
		if len(r.values["traced"]) > 0 {
			continue
		}
		usher, _ := summarise(r.values["usher"])
		cells := []string{r.name, cell(usher, r.unit), "", "", "", "", r.goal.text, r.holds()}
		for i, name := range []string{"hand", "lean"} {
			if value, ok := summarise(r.values[name]); ok {
				ratio, _ := r.ratio("usher", name)
				cells[2+i], cells[4+i] = cell(value, r.unit), ratio.String()
			}
		}
		text.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	text.WriteString("\n## A Trace\n\n" + traceNotes)
	text.WriteString("| benchmark | without | with one | ratio | goal | holds |\n|---|---|---|---|---|---|\n")
	for _, r := range b.rows {
		if with, ok := summarise(r.values["traced"]); ok {
			without, _ := summarise(r.values["usher"])
			ratio, _ := r.ratio("traced", "usher")
			fmt.Fprintf(&text, "| %s | %s | %s | %v | %s | %s |\n",
				r.name, cell(without, r.unit), cell(with, r.unit), ratio, r.goal.text, r.holds())
		}
	}
	text.WriteString("\n## The other libraries\n\n" + otherNotes)
	text.WriteString("| benchmark | coder/websocket | gws | melody |\n|---|---|---|---|\n")
	for _, r := range b.rows {
		if len(r.values[others[0]]) == 0 {
			continue
		}
		cells := []string{r.name}
		for _, name := range others {
			value, _ := summarise(r.values[name])
			ratio, _ := r.ratio(name, "hand")
			cells = append(cells, fmt.Sprintf("%s, %.2f", cell(value, r.unit), ratio.median))
		}
		text.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	return text.String()
}

// cell is a median with its unit, to three figures or so.
func cell(s summary, unit string) string {
	digits := 0
	if s.median < 100 {
		digits = 1
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", digits, s.median, unit))
}

func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				return dep.Version
			}
		}
	}
	return "unknown"
}

const preface = "# Performance\n\n" +
	"What a guarded connection costs with usher, and what it costs without. The programs are in\n" +
	"[internal/bench](../internal/bench), a module of its own; `make bench` runs them and writes this file, and\n" +
	"`make bench-quick` prints a few ratios in less than a minute.\n\n" +
	"Every server is the same room: a JWT with exp, iss, aud and sub; a path and a query parameter that are\n" +
	"validated; a user who is looked up; an allowed Origin; a read limit, write deadlines, pings, the closing handshake;\n" +
	"one line of log for each refusal and each end, with the same facts. The hand-written servers refuse with the same\n" +
	"statuses, challenges and problem documents. Tests ask all of them and usher's the same questions, are silent, do not\n" +
	"read, and compare what is logged. Each runs\n" +
	"as a process of its own, of which the processor time and the memory are read; the client's do not count. Absolute\n" +
	"figures move from run to run with the machine. Only the ratios inside one run mean something.\n\n"

const pairNotes = "\"By hand\" is gin and gorilla/websocket, with a goroutine and a ticker for each connection's pings, as gorilla's own\n" +
	"examples have it; the goals are about this one. \"Lean\" is the same with a timer in place of that goroutine, which is\n" +
	"rarer, and leaves one goroutine to a connection where usher has two. The figures are medians over rounds in which the\n" +
	"servers take turns. The ratios are usher's, round by round: median, then lowest and highest.\n\n" +
	"Goals in ns were set on a machine where by hand an accepted handshake took 112 µs and 144 allocations.\n\n" +
	"- `handshake`: server processor time of a whole connection, from dial to close. An accepted one goes through the\n" +
	"  closing handshake; a refused one ends with its answer. `-RS256` and `-ES256` have tokens of these algorithms.\n" +
	"- `mallocs`: of such a connection, in the server.\n" +
	"- `echo`: of one message of JSON there and one back, decoded, validated and encoded.\n" +
	"- `broadcast`: of what one says to 1000, for each who is told. The hand-written server lets a slow member delay the\n" +
	"  others; usher does not.\n" +
	"- `memory`, `rss` and `goroutines`: of a connection that waits; heap and stacks, and what the process has of the\n" +
	"  machine's memory, after two collections.\n" +
	"- `messages`: of a route of `wsroute.HandleMessages`, and of a loop with a type switch and the same decoding,\n" +
	"  validation and guard. `64-B` and `mallocs` are of one message there and one back, with a type, a ref, two values of\n" +
	"  the connection and a guard of its own; `memory`, `rss` and `goroutines` as above.\n" +
	"- `burst` and `drain`: processor time of a connection among so many opened at once, and the time until all of them were\n" +
	"  told 1012 and had left, of which usher makes 10 000 a second, so that they do not all come back at once.\n" +
	"  No connection failed and no goroutine was left, or there would be no figure.\n" +
	"- `mount`: registering and mounting routes of 20 dependencies each.\n" +
	"- `resolve`: for each dependency of a chain of so many that only compute. `params`: for each of four query parameters\n" +
	"  with a rule; by hand with url.ParseQuery, strconv and validator. Both without a handshake around them.\n\n"

const traceNotes = "usher without a `Config.Trace` and with one whose functions do nothing, in turns: of an accepted handshake, of its\n" +
	"allocations, and of one message there and one back.\n\n"

const otherNotes = "The same room by hand on other libraries, with fewer rounds: the median, and its ratio to \"by hand\".\n\n"
