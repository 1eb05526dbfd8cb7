package wsroute_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/usher/wsroute"
)

// document is a file of the repository.
func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// stated are the rows of the tables in a text: what the second column says, by the
// first. A row without a reason fails.
func stated(t *testing.T, text string) map[string]string {
	t.Helper()
	rows := map[string]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if !strings.HasPrefix(line, "| ") || cells[len(cells)-1] == "why" {
			continue
		}
		if len(cells) != 3 || strings.TrimSpace(cells[2]) == "" {
			t.Errorf("a row without a value or a reason: %s", line)
			continue
		}
		if _, twice := rows[cells[0]]; twice {
			t.Errorf("%s stands there twice", cells[0])
		}
		rows[cells[0]] = cells[1]
	}
	return rows
}

// spelt is how the pages write a value.
func spelt(v any) string {
	switch v := v.(type) {
	case time.Duration:
		if v >= time.Minute && v%time.Minute == 0 && v != time.Minute {
			return fmt.Sprintf("%d min", v/time.Minute)
		}
		return fmt.Sprintf("%v s", v.Seconds())
	case int:
		digits := strconv.Itoa(v)
		if v >= 10_000 {
			return digits[:len(digits)-3] + " " + digits[len(digits)-3:]
		}
		return digits
	}
	return fmt.Sprint(v)
}

func speltSize(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// inWords are the defaults that are no number, as docs/configuration.md puts them.
// Each is held by the tests of what it says.
var inWords = map[string]string{
	"Origins":        "pages of the same host; of an IP address or localhost, if the route authenticates nobody",
	"TrustedProxies": "none",
	"RequireTLS":     "off",
	"Logger":         "`slog.Default()`",
	"Trace":          "nobody is told",
	"MapError":       "errors are left as they are",
	"WriteRefusal":   "a problem document (RFC 9457)",
	"Broker":         "revocations stay in the process",
	"Name":           "none",
	"RequireBroker":  "off",
	"RevocationLog":  "none",
	"MessageBurst":   "as many as in two seconds",
}

// compare finds what a page states otherwise, not at all, or beyond what there is.
func compare(t *testing.T, what string, page, code map[string]string) {
	t.Helper()
	for name, want := range code {
		switch got, there := page[name]; {
		case !there:
			t.Errorf("docs/configuration.md has no row for %s %s", what, name)
		case got != want:
			t.Errorf("docs/configuration.md says %q of %s %s, which is %q", got, what, name, want)
		}
	}
	for name := range page {
		if _, there := code[name]; !there {
			t.Errorf("docs/configuration.md has a row for %s %s, which there is not", what, name)
		}
	}
}

// part is what stands between two headings.
func part(t *testing.T, text, from, to string) string {
	t.Helper()
	_, text, found := strings.Cut(text, "\n"+from+"\n")
	if !found {
		t.Fatalf("docs/configuration.md has no %q", from)
	}
	text, _, _ = strings.Cut(text, "\n"+to+"\n")
	return text
}

// TestDocumentedConfig: each field of Config, with its default.
func TestDocumentedConfig(t *testing.T) {
	config := wsroute.DefaultConfig(nil)
	code := map[string]string{}
	of := func(field reflect.StructField, value reflect.Value) {
		name := field.Name
		words, worded := inWords[name]
		switch {
		case name == "MessageBurst": // without a rate it means nothing
			with := wsroute.DefaultConfig(&wsroute.Config{Limits: wsroute.Limits{MessageRate: 7}})
			if with.Limits.MessageBurst != 14 {
				t.Errorf("the burst of 7 messages a second is %d", with.Limits.MessageBurst)
			}
		case worded && name != "Logger" && !value.IsZero():
			t.Errorf("%s is %v by default, and %q here", name, value, words)
		case name == "SendQueue" || name == "ReadLimit":
			words = speltSize(value.Int())
		case worded:
		case value.IsZero():
			words = "no limit"
		default:
			words = spelt(value.Interface())
		}
		code["`"+name+"`"] = words
	}
	for field, value := range reflect.ValueOf(config).Fields() {
		if field.Name != "Limits" {
			of(field, value)
		}
	}
	for field, value := range reflect.ValueOf(config.Limits).Fields() {
		of(field, value)
	}
	compare(t, "the field", stated(t, part(t, document(t, "docs/configuration.md"), "## wsroute.Config", "## Options of a route")), code)
}

// TestDocumentedOptions: each option of a route, and that a bare route has none.
func TestDocumentedOptions(t *testing.T) {
	options := optionsOf(t, "RouteOption")
	options["Limits"] = "{…}"
	compareOptions(t, "## Options of a route", "## Options of a message", options, wsroute.BareRoute())
	compareOptions(t, "## Options of a message", "## Of the server", optionsOf(t, "MessageOption"), wsroute.BareMessage())
}

func compareOptions(t *testing.T, from, to string, options map[string]string, bare map[string]bool) {
	t.Helper()
	code := map[string]string{}
	for name, shape := range options {
		has, known := bare[name]
		if !known || has {
			t.Errorf("%s: %s is %t, %t without any, want false, true", from, name, has, known)
		}
		code["`"+name+shape+"`"] = map[bool]string{true: "off", false: "none"}[shape == ""]
	}
	if len(code) != len(bare) {
		t.Errorf("%s: found %v, want those of %v", from, code, bare)
	}
	compare(t, "the option", stated(t, part(t, document(t, "docs/configuration.md"), from, to)), code)
}

// shapes are what a caller writes behind an option, by the type of its first parameter.
var shapes = map[string]string{"handles": "(…)", "": "[T]()", "string": `("…")`, "Union[T]": "[T](…)", "int": "(n)", "time.Duration": "(d)"}

// optionsOf are the exported options of a kind, with what a caller writes behind each. An Option
// is of both kinds.
func optionsOf(t *testing.T, kind string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	options := map[string]string{}
	is := func(x ast.Expr) bool {
		id, ok := x.(*ast.Ident)
		return ok && (id.Name == kind || id.Name == "Option")
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if r := d.Type.Results; d.Recv == nil && d.Name.IsExported() && r != nil && len(r.List) == 1 && is(r.List[0].Type) {
					first := ""
					for _, p := range d.Type.Params.List {
						first = strings.TrimPrefix(types.ExprString(p.Type), "...")
					}
					if options[d.Name.Name] = shapes[first]; options[d.Name.Name] == "" {
						t.Errorf("%s takes a %s: say in shapes how that is written", d.Name.Name, first)
					}
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok && v.Names[0].IsExported() && is(v.Type) {
						options[v.Names[0].Name] = ""
					}
				}
			}
		}
	}
	return options
}

// TestDocumentedBounds: what Serve sets, and what cannot be set.
func TestDocumentedBounds(t *testing.T) {
	code := map[string]string{}
	for name, value := range wsroute.Fixed {
		code[name] = spelt(value)
	}
	compare(t, "the bound", stated(t, part(t, document(t, "docs/configuration.md"), "## Of the server", "## Schemes")), code)
}

// TestDocumentedStop: docs/deploying.md adds up how long the end takes, and nginx.conf
// waits for longer than the pings.
func TestDocumentedStop(t *testing.T) {
	page, config := document(t, "docs/deploying.md"), wsroute.DefaultConfig(nil)
	shutdown := wsroute.Fixed["plain requests at the end"].(time.Duration)
	sum := func(drain time.Duration) string { return spelt(drain + shutdown + config.CleanupTimeout) }
	for _, want := range []string{
		"| `DrainTimeout`, " + spelt(config.DrainTimeout) + " |",
		"end | " + spelt(shutdown) + " |",
		"| `CleanupTimeout`, " + spelt(config.CleanupTimeout) + " |",
		sum(config.DrainTimeout) + " with the defaults",
		"after " + sum(10*time.Second) + " at most", // the example drains for 10 s
		"at " + spelt(wsroute.Fixed["closed by a drain in a second"]) + " a second",
		"`SendQueue` more, " + speltSize(int64(config.Limits.SendQueue)),
		"three times `ReadLimit`, " + speltSize(3*config.Limits.ReadLimit), // two are read ahead, and one is being read
	} {
		if !strings.Contains(strings.Join(strings.Fields(page), " "), want) {
			t.Errorf("docs/deploying.md does not say %q", want)
		}
	}
	conf := document(t, "examples/deploying/nginx.conf")
	read := regexp.MustCompile(`proxy_read_timeout (\d+)s;`).FindStringSubmatch(conf)
	if !strings.Contains(conf, "which are "+spelt(config.Limits.PingInterval)+" apart") || len(read) != 2 {
		t.Fatalf("nginx.conf does not say how far the pings are apart, or has no proxy_read_timeout: %q", read)
	}
	if seconds, _ := strconv.Atoi(read[1]); time.Duration(seconds)*time.Second <= 2*config.Limits.PingInterval {
		t.Errorf("proxy_read_timeout %s is not longer than two pings", read[1])
	}
}

// TestDocumentedMemory: docs/deploying.md rounds what docs/performance.md has measured.
func TestDocumentedMemory(t *testing.T) {
	said := regexp.MustCompile(`about\s+(\d+)\s+KB of the process's memory`).FindStringSubmatch(document(t, "docs/deploying.md"))
	measured := regexp.MustCompile(`\| rss/\d+ \| (\d+) B \|`).FindAllStringSubmatch(document(t, "docs/performance.md"), -1)
	if len(said) != 2 || len(measured) == 0 {
		t.Fatalf("said %q, measured %q", said, measured)
	}
	claim, _ := strconv.Atoi(said[1])
	for _, m := range measured {
		if bytes, _ := strconv.Atoi(m[1]); bytes < claim*800 || bytes > claim*1200 {
			t.Errorf("docs/deploying.md says %d KB, and docs/performance.md has %s B", claim, m[1])
		}
	}
}

// TestDocumentedTables: a default that is stated wrongly is found.
func TestDocumentedTables(t *testing.T) {
	rows := stated(t, "| field | default | why |\n|---|---|---|\n| `A` | 5 s | so |\n| `B` | 2 min | so, too |\n\ntext\n| `C` | 10 000 | `a` |\n")
	got := []string{rows["`A`"], rows["`B`"], rows["`C`"]}
	if want := []string{spelt(5 * time.Second), spelt(2 * time.Minute), spelt(10_000)}; len(rows) != 3 || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := []string{speltSize(64 << 10), speltSize(1 << 20), spelt(time.Minute), spelt(1000)}; !slices.Equal(got, []string{"64 KiB", "1 MiB", "60 s", "1000"}) {
		t.Errorf("got %v", got)
	}
}
