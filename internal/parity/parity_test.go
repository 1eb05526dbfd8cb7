package parity_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/usher/wsroute"
)

var update = flag.Bool("update", false, "rewrite docs/parity.md")

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

// verdict says how usher's outcome stands to FastAPI's.
type verdict string

const (
	matched     verdict = "matched"
	beaten      verdict = "beaten"
	different   verdict = "different on purpose"
	meaningless verdict = "not meaningful in Go"
	notYet      verdict = "not yet"
)

// scenario is one measured behaviour of FastAPI, and usher's answer.
type scenario struct {
	id      string
	app     string // what the program does, and the client
	fastapi string
	verdict verdict
	why     string // the reason; for notYet the capability that brings it
	want    string // usher's outcome, as run tells it
	config  wsroute.Config
	run     func(w *world) string // nil if there is nothing to run
}

// chapter is a table of the page.
type chapter struct {
	title     string
	scenarios []scenario
}

// chapters are in the order of the page.
var chapters = []chapter{
	{"Handshake, accept, close", handshakes},
	{"Messages and disconnect", messages},
	{"Dependency graph, order, cache", graphs},
	{"Teardown", teardowns},
	{"Parameters", params},
	{"Errors and handlers", failures},
	{"Security", securities},
	{"Overrides and test client", overrides},
}

// TestParity runs every scenario on both servers.
func TestParity(t *testing.T) {
	for _, chapter := range chapters {
		for _, s := range chapter.scenarios {
			for _, on := range []string{"gin", "net/http"} {
				t.Run(s.id+"/"+strings.ReplaceAll(on, "/", "-"), func(t *testing.T) {
					if s.run == nil {
						return // the page says why
					}
					synctest.Test(t, func(t *testing.T) {
						if got := s.run(newWorld(t, on, s.config)); got != s.want {
							t.Errorf("%s\n got %s\nwant %s", s.app, got, s.want)
						}
					})
				})
			}
		}
	}
}

// TestEveryScenarioIsAccountedFor: each has a verdict, and what a verdict needs.
func TestEveryScenarioIsAccountedFor(t *testing.T) {
	seen := map[string]bool{}
	for _, chapter := range chapters {
		for _, s := range chapter.scenarios {
			switch ran := s.run != nil; {
			case seen[s.id]:
				t.Errorf("%s is told twice", s.id)
			case s.app == "" || s.fastapi == "":
				t.Errorf("%s does not say what it is about", s.id)
			case (s.verdict == matched || s.verdict == beaten) && !ran:
				t.Errorf("%s is %s, and no test shows it", s.id, s.verdict)
			case s.verdict != matched && s.verdict != beaten && s.why == "":
				t.Errorf("%s is %s, and the reason is missing", s.id, s.verdict)
			case ran != (s.want != ""):
				t.Errorf("%s: an outcome and a test belong together", s.id)
			}
			seen[s.id] = true
		}
	}
	if len(seen) != 112 {
		t.Errorf("%d scenarios of 112", len(seen))
	}
}

const page = "../../docs/parity.md"

// TestThePageTellsTheOutcomes: docs/parity.md is what the scenarios say.
func TestThePageTellsTheOutcomes(t *testing.T) {
	got := render()
	if *update {
		if err := os.WriteFile(page, got, 0o644); err != nil { //nolint:gosec // a page to be read
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), string(got)); diff != "" {
		t.Errorf("run go test ./internal/parity -update\n%s", diff)
	}
}

const head = `# FastAPI, scenario by scenario

How usher answers each of the %d situations in which FastAPI's behaviour on
WebSockets was measured on the wire (FastAPI 0.141, uvicorn 0.51). Every outcome of usher
in these tables is what its test saw, on gin and on net/http alike: the scenario's number
is the test's name, as in ` + "`go test ./internal/parity -run TestParity/S01`" + `.
The last section is what FastAPI's users have asked for.

%s
How to read an outcome: ` + "`101 \"hi\" C(4001,\"bye\")`" + ` is an accepted connection, a message and a
close frame; EOF is a connection that ended without one. ` + "`403∅`" + ` is a 403 without a body,
` + "`500t`" + ` a 500 of plain text. ` + "`422 invalid_parameters query.q:missing`" + ` is a refusal with its
reason, its challenge in brackets, and its errors. In a list of events, ` + "`+A`" + ` is a provider that
ran, ` + "`-A`" + ` its cleanup with the cause that it was told, ` + "`!A:E`" + ` an exception E that FastAPI's
dependency saw, and ` + "`h`" + ` the handler.
`

func render() []byte {
	var b bytes.Buffer
	counts, total := map[verdict]int{}, 0
	for _, chapter := range chapters {
		for _, s := range chapter.scenarios {
			counts[s.verdict]++
			total++
		}
	}
	var summary strings.Builder
	for _, v := range []verdict{matched, beaten, different, meaningless, notYet} {
		fmt.Fprintf(&summary, "- %s: %d\n", v, counts[v])
	}
	fmt.Fprintf(&b, head, total, summary.String())
	for _, chapter := range chapters {
		fmt.Fprintf(&b, "\n## %s\n\n| | scenario | FastAPI | usher | |\n|---|---|---|---|---|\n", chapter.title)
		for _, s := range chapter.scenarios {
			outcome := s.want
			if outcome != "" {
				outcome = "`" + cell(outcome) + "`"
			}
			said := string(s.verdict)
			if s.why != "" {
				said += ": " + s.why
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", s.id, cell(s.app), cell(s.fastapi), outcome, cell(said))
		}
	}
	renderPains(&b)
	return b.Bytes()
}

// cell escapes what would end a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(text)
}

// join puts outcomes of several connections side by side.
func join(outcomes ...string) string {
	return strings.Join(slices.DeleteFunc(outcomes, func(s string) bool { return s == "" }), " / ")
}
