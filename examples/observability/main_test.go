package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wsotel"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

// TestBoth: one conversation is in the metrics and in the spans.
func TestBoth(t *testing.T) {
	exporter, registry := tracetest.NewInMemoryExporter(), prometheus.NewRegistry()
	ws, err := newRouter(registry, sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))
	if err != nil {
		t.Fatal(err)
	}
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, wsotel.Propagate(engine, propagation.TraceContext{}))
	wstest.Refused(t, srv, "/rooms/lobby")
	p := wstest.Dial[say, said](t, srv, "/rooms/lobby", wstest.Header("X-Api-Key", "sesame"))
	if got := wstest.Ask[said](t, p, "say", say{"hello"}); got != (said{"alice", "hello"}) {
		t.Errorf("got %+v", got)
	}
	if got := wstest.AskFailure(t, p, "say", say{"fail"}); got.Reason != "internal" {
		t.Errorf("got %+v", got)
	}
	p.Close(1000, "")
	srv.Stop()
	const want = `
# HELP usher_connections_closed_total Connections that have ended.
# TYPE usher_connections_closed_total counter
usher_connections_closed_total{code="1000",initiator="client",reason="",route="GET /rooms/:room"} 1
# HELP usher_handshakes_total Handshakes that were answered.
# TYPE usher_handshakes_total counter
usher_handshakes_total{reason="",route="GET /rooms/:room",status="101"} 1
usher_handshakes_total{reason="credentials_required",route="GET /rooms/:room",status="401"} 1
# HELP usher_message_errors_total Messages that were answered by an error.
# TYPE usher_message_errors_total counter
usher_message_errors_total{reason="internal",route="GET /rooms/:room",type="say"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "usher_connections_closed_total",
		"usher_handshakes_total", "usher_message_errors_total"); err != nil {
		t.Error(err)
	}
	var names []string
	for _, s := range exporter.GetSpans() {
		names = append(names, fmt.Sprint(s.Name, " ", s.Status.Code))
	}
	wantNames := []string{
		"GET /rooms/:room Unset", "APIKey Unset", "GET /rooms/:room Unset",
		"GET /rooms/:room say Unset", "GET /rooms/:room say Error",
	}
	if !slices.Equal(names, wantNames) {
		t.Errorf("the spans are %q, want %q", names, wantNames)
	}
}

// TestRun starts and stops the whole program, which a context that has ended stops at once.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, "127.0.0.1:0", "127.0.0.1:0"); err != nil {
		t.Error(err)
	}
}

// page is docs/observability.md.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cells are those of the table with this first head, without the heads.
func cells(page, first string) (rows [][]string) {
	_, table, _ := strings.Cut(page, "\n| "+first+" |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, line := range strings.Split(table, "\n")[2:] {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |")
		rows = append(rows, strings.Split(line, " | "))
	}
	return rows
}

// known are the labels of each metric that Prometheus has.
func known(page string) map[string][]string {
	labels := map[string][]string{}
	for _, row := range cells(page, "Prometheus") {
		name := strings.Trim(row[0], "`")
		var of []string
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[4], -1) {
			of = append(of, m[1])
		}
		if row[2] == "histogram" {
			labels[name+"_bucket"], labels[name+"_sum"], labels[name+"_count"] = append(slices.Clone(of), "le"), of, of
		} else {
			labels[name] = of
		}
	}
	return labels
}

var (
	// strings, durations and variables of Grafana, which hold no names
	noNames = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\[[^\]]*\]`)
	// a metric with its matchers
	selector = regexp.MustCompile(`(usher_\w+)(?:\s*\{([^}]*)\})?`)
	grouping = regexp.MustCompile(`\bby\s*\(([^)]*)\)`)
	word     = regexp.MustCompile(`[A-Za-z_]\w*`)
	function = regexp.MustCompile(`^(sum|rate|histogram_quantile|label_values)$`)
)

// faults says which names of a query there are not.
func faults(query string, known map[string][]string) (list []string) {
	bare := noNames.ReplaceAllString(query, "")
	var labels []string
	selectors := selector.FindAllStringSubmatch(bare, -1)
	if len(selectors) == 0 {
		list = append(list, "it asks for no metric")
	}
	for i, s := range selectors {
		of, ok := known[s[1]]
		if !ok {
			list = append(list, "there is no metric "+s[1])
		}
		for _, label := range word.FindAllString(s[2], -1) {
			if !slices.Contains(of, label) {
				list = append(list, s[1]+" has no label "+label)
			}
		}
		if i == 0 {
			labels = of
		}
		labels = slices.DeleteFunc(slices.Clone(labels), func(l string) bool { return !slices.Contains(of, l) })
	}
	for _, g := range grouping.FindAllStringSubmatch(bare, -1) {
		for _, label := range word.FindAllString(g[1], -1) {
			if !slices.Contains(labels, label) {
				list = append(list, "it groups by "+label+", which a metric has not")
			}
		}
	}
	rest := grouping.ReplaceAllString(selector.ReplaceAllString(bare, ""), "")
	for _, name := range word.FindAllString(rest, -1) {
		if !function.MatchString(name) && !slices.Contains(labels, name) {
			list = append(list, "nobody knows "+name)
		}
	}
	return list
}

func TestFaults(t *testing.T) {
	known := map[string][]string{"usher_a_total": {"route"}, "usher_b_bucket": {"le", "type"}}
	for query, want := range map[string]int{
		`sum by (route) (rate(usher_a_total{route=~"$route"}[5m])) > 0.5`:           0,
		`histogram_quantile(0.9, sum by (le, type) (rate(usher_b_bucket[$__i])))`:   0,
		`sum(rate(usher_a_total{route="type"}[5m])) / sum(rate(usher_a_total[5m]))`: 0,
		`label_values(usher_a_total, route)`:                                        0,
		`rate(usher_c_total[5m])`:                                                   1,
		`rate(usher_a_total{type="x"}[5m])`:                                         1,
		`sum by (type) (rate(usher_a_total[5m]))`:                                   1,
		`sum by (route) (usher_a_total / usher_b_bucket)`:                           1,
		`median(usher_a_total)`:                                                     1,
		`rate(other_total[5m])`:                                                     2,
		`label_values(usher_a_total, type)`:                                         1,
	} {
		if got := faults(query, known); len(got) != want {
			t.Errorf("%s: got the faults %q, want %d", query, got, want)
		}
	}
}

// panel is one of Grafana, or a row of them.
type panel struct {
	Title, Type string
	Datasource  *struct{ UID string }
	GridPos     struct{ H, W, X, Y int }
	Targets     []struct{ Expr, LegendFormat string }
}

// TestTheDashboard asks for nothing that is not there, and shows everything that is.
func TestTheDashboard(t *testing.T) {
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels     []panel
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	known := known(page(t))
	shown := map[string]bool{}
	var variables []string
	for _, v := range dashboard.Templating.List {
		variables = append(variables, v.Name)
		if v.Definition != "" {
			for _, fault := range faults(v.Definition, known) {
				t.Errorf("the variable %s: %s", v.Name, fault)
			}
		}
	}
	taken := map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[at]; ok || at[0] >= 24 {
					t.Fatalf("%s covers %s, or is not on the page", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		for _, target := range p.Targets {
			for _, fault := range faults(target.Expr, known) {
				t.Errorf("%s: %s: %s", p.Title, target.Expr, fault)
			}
			for _, name := range regexp.MustCompile(`usher_\w+`).FindAllString(target.Expr, -1) {
				shown[name] = true
			}
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if m[1] != "__rate_interval" && !slices.Contains(variables, m[1]) {
					t.Errorf("%s: there is no variable %s", p.Title, m[1])
				}
			}
			for _, m := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !regexp.MustCompile(`by \([^)]*\b` + m[1] + `\b`).MatchString(target.Expr) {
					t.Errorf("%s: the legend names %s, and the query does not keep it", p.Title, m[1])
				}
			}
		}
	}
	for _, row := range cells(page(t), "Prometheus") {
		name := strings.Trim(row[0], "`")
		if !shown[name] && !shown[name+"_bucket"] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// TestTheAlerts of the page ask for nothing that is not there.
func TestTheAlerts(t *testing.T) {
	known := known(page(t))
	for _, row := range cells(page(t), "what") {
		query := strings.ReplaceAll(strings.Trim(row[1], "`"), `\|`, "|")
		for _, fault := range faults(query, known) {
			t.Errorf("%s: %s", row[0], fault)
		}
	}
}

// TestTheCodeOfThePage is this program's.
func TestTheCodeOfThePage(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(page(t), -1)
	for _, block := range blocks {
		if !strings.Contains(string(program), "\n"+block[1]) {
			t.Errorf("main.go has no such lines:\n%s", block[1])
		}
	}
	if len(blocks) < 4 {
		t.Errorf("the page has %d blocks of Go", len(blocks))
	}
}
