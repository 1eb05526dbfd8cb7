package wsprom_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wsprom"
	"example.com/usher/wsroute/wstest"
)

// watched is a program that a new registry watches.
func watched(t testing.TB, config wsroute.Config) (*program, *prometheus.Registry) {
	t.Helper()
	ws, registry := newProgram(config), prometheus.NewPedanticRegistry()
	if err := wsprom.Watch(ws.Router, registry); err != nil {
		t.Fatal(err)
	}
	return ws, registry
}

func gather(t testing.TB, from prometheus.Gatherer) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// series are the label values of each series, with the name of the metric.
func series(t testing.TB, from prometheus.Gatherer) (all []string) {
	t.Helper()
	for name, f := range gather(t, from) {
		for _, m := range f.GetMetric() {
			line := name
			for _, pair := range m.GetLabel() {
				line += " " + pair.GetName() + "=" + pair.GetValue()
			}
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return all
}

// total adds up the series of a counter.
func total(f *dto.MetricFamily, labels ...string) (sum float64) {
	for _, m := range f.GetMetric() {
		matches := 0
		for _, pair := range m.GetLabel() {
			if slices.Contains(labels, pair.GetName()+"="+pair.GetValue()) {
				matches++
			}
		}
		if matches == len(labels) {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

// TestTheTableOfMetrics is what is emitted, with all names, types, labels and meanings, and holds
// no secret.
func TestTheTableOfMetrics(t *testing.T) {
	ws, registry := watched(t, everyConfig())
	ws.everything(t)
	var got, want []row
	for name, f := range gather(t, registry) {
		var labels []string
		for _, pair := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+pair.GetName()+"`")
		}
		got = append(got, row{
			"Prometheus": "`" + name + "`", "type": strings.ToLower(f.GetType().String()),
			"labels": strings.Join(labels, ", "), "meaning": strings.TrimSuffix(f.GetHelp(), "."),
		})
	}
	for _, r := range documented(t, "Prometheus") {
		labels := r.codes("labels")
		for i := range labels {
			labels[i] = "`" + labels[i] + "`"
		}
		want = append(want, row{
			"Prometheus": r["Prometheus"], "type": r["type"],
			"labels": strings.Join(labels, ", "), "meaning": r["meaning"],
		})
	}
	byName := func(a, b row) int { return strings.Compare(a["Prometheus"], b["Prometheus"]) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/observability.md and the metrics differ (-docs +metrics):\n%s", diff)
	}
	all := series(t, registry)
	for _, line := range all {
		if strings.Contains(line, canary) {
			t.Errorf("a label holds what a client sent: %s", line)
		}
	}
	for _, want := range []string{
		"usher_handshakes_total reason= route=GET /rooms/:room status=101",
		"usher_handshakes_total reason=credentials_required route=GET /rooms/:room status=401",
		"usher_handshakes_total reason=internal_error route=GET /wild/:room status=500",
		"usher_handshakes_total reason= route=GET /wild/:room status=404",
		"usher_handshakes_total reason= route=GET /wild/:room status=400",
		"usher_messages_received_total route=GET /rooms/:room type=_other",
		"usher_message_errors_total reason=muted route=GET /rooms/:room type=say",
		"usher_message_errors_total reason=timeout route=GET /rooms/:room type=say",
		"usher_message_errors_total reason=internal route=GET /rooms/:room type=say",
		"usher_connections_closed_total code=4xxx initiator=client reason=_other route=GET /rooms/:room",
		"usher_connections_closed_total code=1011 initiator=server reason= route=GET /loop/:room",
		"usher_connections_closed_total code=1006 initiator=none reason= route=GET /flood",
		"usher_messages_dropped_total cause=replaced route=GET /flood",
		"usher_messages_dropped_total cause=ended route=GET /flood",
		"usher_broker_events_total event=error topic=test.revoked",
	} {
		if !slices.Contains(all, want) {
			t.Errorf("there is no series %s; there are\n%s", want, strings.Join(all, "\n"))
		}
	}
	problems, err := promlint.NewWithMetricFamilies(families(t, registry)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("the linter of Prometheus says %v, %v", problems, err)
	}
}

func families(t *testing.T, from prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	all, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestOneOpenAndOneClose for each connection, whatever ends it.
func TestOneOpenAndOneClose(t *testing.T) {
	ws, registry := watched(t, wsroute.Config{})
	opened := ws.connections(t, wstest.Start(t, ws.Router))
	all := gather(t, registry)
	accepted := total(all["usher_handshakes_total"], "status=101")
	opens, closes := total(all["usher_connections_opened_total"]), total(all["usher_connections_closed_total"])
	if n := float64(opened); accepted != n || opens != n || closes != n {
		t.Errorf("%v were accepted, %v opened, %v closed; want %v", accepted, opens, closes, n)
	}
	for _, label := range []string{
		"initiator=none", "initiator=client", "code=1011", "reason=revoked", "reason=server_restart",
	} {
		if total(all["usher_connections_closed_total"], label) == 0 {
			t.Errorf("none was closed with %s", label)
		}
	}
	if lasted := all["usher_connection_duration_seconds"].GetMetric()[0].GetHistogram(); lasted.GetSampleCount() != uint64(opened) {
		t.Errorf("%d durations, want %d", lasted.GetSampleCount(), opened)
	}
	if open := all["usher_connections_open"]; open.GetMetric()[0].GetGauge().GetValue() != 0 {
		t.Errorf("some are open: %v", open)
	}
}

// TestNoPeerMakesASeries: 10,000 random paths, types, close codes and reasons.
func TestNoPeerMakesASeries(t *testing.T) {
	ws, registry := watched(t, wsroute.Config{})
	srv := wstest.Start(t, ws.Router)
	ws.strangers(t, srv, 1, 3_000)
	before := series(t, registry)
	ws.strangers(t, srv, 2, 10_000)
	if diff := cmp.Diff(before, series(t, registry)); diff != "" {
		t.Errorf("after 10,000 more (-before +after):\n%s", diff)
	}
	t.Logf("%d series", len(before))
}

// TestGauges show how the router stands.
func TestGauges(t *testing.T) {
	ws, registry := watched(t, wsroute.Config{})
	srv := wstest.Start(t, ws.Router)
	p := connect(t, srv, "/loop/a")
	defer p.Close()
	p.says("hello")
	value := func(name string) (sum float64) {
		for _, m := range gather(t, registry)[name].GetMetric() {
			sum += m.GetGauge().GetValue()
		}
		return sum
	}
	if open, running := value("usher_connections_open"), value("usher_handlers_running"); open != 1 || running != 1 {
		t.Errorf("%v are open, %v handlers run; want 1 of each", open, running)
	}
}

// TestWatchFails where it would count nothing or count twice.
func TestWatchFails(t *testing.T) {
	ws, registry := watched(t, wsroute.Config{})
	if err := wsprom.Watch(ws.Router, registry); err == nil {
		t.Error("a registry takes the same metrics twice")
	}
	wstest.Start(t, ws.Router)
	if err := wsprom.Watch(ws.Router, prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "after Mount") {
		t.Errorf("after Mount: %v", err)
	}
}

// TestTwoRouters of a program, each with a label.
func TestTwoRouters(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, name := range []string{"admin", "chat"} {
		with := prometheus.WrapRegistererWith(prometheus.Labels{"router": name}, registry)
		if err := wsprom.Watch(newProgram(wsroute.Config{}).Router, with); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"usher_handshakes_in_progress router=admin", "usher_handshakes_in_progress router=chat",
	}
	if diff := cmp.Diff(want, series(t, registry)); diff != "" {
		t.Errorf("before any request (-want +got):\n%s", diff)
	}
}

// TestDefaultRegisterer is where nil leads.
func TestDefaultRegisterer(t *testing.T) {
	defer func(r prometheus.Registerer) { prometheus.DefaultRegisterer = r }(prometheus.DefaultRegisterer)
	registry := prometheus.NewRegistry()
	prometheus.DefaultRegisterer = registry
	if err := wsprom.Watch(newProgram(wsroute.Config{}).Router, nil); err != nil {
		t.Fatal(err)
	}
	if len(gather(t, registry)) == 0 {
		t.Error("there are no metrics")
	}
}

// BenchmarkCost prints what the metrics cost.
func BenchmarkCost(b *testing.B) {
	ws, _ := watched(b, wsroute.Config{})
	compare(b, newProgram(wsroute.Config{}).cost(b), ws.cost(b))
}

// TestSharedFiles are the same in both modules, but for the name of the package.
func TestSharedFiles(t *testing.T) {
	for _, name := range []string{"labels.go", "program_test.go"} {
		ours, err := os.ReadFile(name)
		theirs, err2 := os.ReadFile("../wsotel/" + name)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if diff := cmp.Diff(strings.Replace(string(theirs), "package wsotel", "package wsprom", 1), string(ours)); diff != "" {
			t.Errorf("%s differs (-wsotel +wsprom):\n%s", name, diff)
		}
	}
}
