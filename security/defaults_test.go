package security_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// starts says whether a scheme's configuration is one that a router mounts.
func starts[T any](scheme security.Scheme[T]) bool {
	deps := depends.New()
	security.Use(deps, scheme)
	ws := wsroute.New(deps, &wsroute.Config{Origins: []string{page}})
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ _ T }) error { return nil })
	_, err := ws.Handler()
	return err == nil
}

// chosen says what a default is that is no constant, after trying it.
func chosen(t *testing.T) map[string]string {
	t.Helper()
	rows := map[string]string{}
	required := func(name string, with, without bool) {
		if !with {
			t.Errorf("with %s it does not start", name)
		}
		rows[name] = map[bool]string{true: "not required", false: "required"}[without]
	}
	bare := func(f func(*security.JWT[Claims])) bool {
		j := config()
		f(&j)
		return starts[Claims](j)
	}
	whole := bare(func(*security.JWT[Claims]) {})
	required("`Keys`", whole, bare(func(j *security.JWT[Claims]) { j.Keys = nil }))
	rows["`Keys`"] += ", unless there is a `JWKS`"
	if !bare(func(j *security.JWT[Claims]) {
		j.Keys, j.JWKS = nil, &security.JWKS{URL: "https://login.example/keys"}
	}) {
		t.Error("with a JWKS in place of Keys it does not start")
	}
	required("`Issuer`", whole, bare(func(j *security.JWT[Claims]) { j.Issuer = "" }))
	required("`Audience`", whole, bare(func(j *security.JWT[Claims]) { j.Audience = "" }))
	required("`URL`", true, bare(func(j *security.JWT[Claims]) { j.Keys, j.JWKS = nil, &security.JWKS{} }))

	key := func(context.Context, [32]byte) (Claims, error) { return Claims{}, nil }
	inHeader, inQuery := []depends.Source{security.Header("X-Key")}, []depends.Source{security.QueryToken("key")}
	withKey := starts[Claims](security.APIKey[Claims]{Sources: inHeader, Find: key})
	required("`APIKey.Sources`", withKey, starts[Claims](security.APIKey[Claims]{Find: key}))
	required("`APIKey.Find`", withKey, starts[Claims](security.APIKey[Claims]{Sources: inHeader}))
	if starts[Claims](security.APIKey[Claims]{Sources: inQuery, Find: key}) {
		t.Error("a key in the query starts without InsecureQuery")
	}
	token := func(context.Context, string) (Claims, error) { return Claims{}, nil }
	withToken := starts[Claims](security.Opaque[Claims]{Sources: inHeader, Find: token})
	required("`Opaque.Sources`", withToken, starts[Claims](security.Opaque[Claims]{Find: token}))
	required("`Opaque.Find`", withToken, starts[Claims](security.Opaque[Claims]{Sources: inHeader}))
	find := func(context.Context, string) (Claims, error) { return Claims{}, nil }
	withSession := starts[Claims](security.Session[Claims]{Cookie: "id", Find: find})
	required("`Session.Cookie`", withSession, starts[Claims](security.Session[Claims]{Find: find}))
	required("`Session.Find`", withSession, starts[Claims](security.Session[Claims]{Cookie: "id"}))
	verify := func(context.Context, string, string) (Claims, error) { return Claims{}, nil }
	withBasic := starts[Claims](security.Basic[Claims]{Realm: "x", Verify: verify})
	required("`Basic.Realm`", withBasic, starts[Claims](security.Basic[Claims]{Verify: verify}))
	required("`Basic.Verify`", withBasic, starts[Claims](security.Basic[Claims]{Realm: "x"}))

	if sources := (security.JWT[Claims]{}).Describe().Sources; len(sources) == 1 && reflect.DeepEqual(sources[0], security.BearerHeader()) {
		rows["`Sources`"] = "`BearerHeader()`"
	}
	return rows
}

// TestDocumentedDefaults compares docs/configuration.md with what the schemes do, and
// finds what it leaves out.
func TestDocumentedDefaults(t *testing.T) {
	want := chosen(t)
	for name, value := range security.Bounds {
		want[name] = spelt(value)
	}
	for _, name := range []string{
		"`InsecureAnyIssuer`", "`InsecureAnyAudience`", "`OptionalSubject`", "`APIKey.InsecureQuery`", "`Opaque.InsecureQuery`",
		"`APIKey.AllowZero`", "`Opaque.AllowZero`", "`Session.AllowZero`", "`Basic.AllowZero`", "`Tickets.AllowZero`",
	} {
		want[name] = "off" // a bool's zero, which other tests see refused
	}
	for _, name := range []string{"`JWKS`", "`Realm`", "`Session.CSRF`", "`Issuers`", "`Audiences`", "`InsecureNoExpiry`"} {
		want[name] = "none" // their zero
	}
	if security.KeepsNoConnection() {
		want["`Client`"] = "one that keeps no connection"
	}
	want["`Tickets.TTL`"], want["`Tickets.TTL`, at most"] = spelt(ticketLife(t)), spelt(longestTicket(t))
	if security.KeepsTicketsInMemory() {
		want["`Tickets.Store`"] = "this process's memory"
	}

	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(string(text), "\n## Schemes\n")
	for line := range strings.Lines(tables) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if !strings.HasPrefix(line, "| ") || cells[len(cells)-1] == "why" {
			continue
		}
		value, known := want[cells[0]]
		if len(cells) != 3 || !known || cells[1] != value {
			t.Errorf("docs/configuration.md says %q; the default is %q, and each row has a reason", cells, value)
		}
		delete(want, cells[0])
	}
	for name, value := range want {
		t.Errorf("docs/configuration.md has no row that says of %s: %s", name, value)
	}
	for _, name := range schemeFields() {
		if !strings.Contains(tables, "\n| `"+name+"` | ") {
			t.Errorf("docs/configuration.md has no row for %s", name)
		}
	}
}

// schemeFields are the fields of all schemes, as the page calls them.
func schemeFields() (names []string) {
	for prefix, scheme := range map[string]any{
		"": security.JWT[Claims]{}, " ": security.JWKS{}, "APIKey.": security.APIKey[Claims]{},
		"Session.": security.Session[Claims]{}, "Basic.": security.Basic[Claims]{}, "Opaque.": security.Opaque[Claims]{}, "Tickets.": security.Tickets[Claims]{},
	} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(scheme)) {
			if f.IsExported() {
				names = append(names, strings.TrimSpace(prefix)+f.Name)
			}
		}
	}
	return names
}

// ticketLife is how long a ticket is good that nothing was said about.
func ticketLife(t *testing.T) time.Duration {
	t.Helper()
	tickets := &security.Tickets[string]{}
	asked := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ticket", strings.NewReader(`{"path":"/"}`))
	asked.Header.Set("Content-Type", "application/json")
	asked.Header.Set("Origin", page)
	answer := httptest.NewRecorder()
	tickets.Handler(func(*http.Request) (string, error) { return "1", nil }).ServeHTTP(answer, asked)
	var ticket struct {
		Seconds int `json:"expires_in"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &ticket); err != nil {
		t.Fatalf("%d %s: %v", answer.Code, answer.Body, err)
	}
	return time.Duration(ticket.Seconds) * time.Second
}

// longestTicket is the longest whole number of minutes that starts.
func longestTicket(t *testing.T) (longest time.Duration) {
	t.Helper()
	for ttl := time.Minute; starts[Claims](&security.Tickets[Claims]{TTL: ttl}); ttl += time.Minute {
		longest = ttl
	}
	if starts[Claims](&security.Tickets[Claims]{TTL: longest + 1}) {
		t.Errorf("a ticket may live for longer than %v", longest)
	}
	return longest
}

// spelt is how the page writes a value.
func spelt(v any) string {
	switch v := v.(type) {
	case time.Duration:
		if v > time.Minute && v%time.Minute == 0 {
			return fmt.Sprintf("%d min", v/time.Minute)
		}
		return fmt.Sprintf("%v s", v.Seconds())
	case int:
		if digits := strconv.Itoa(v); v >= 10_000 {
			return digits[:len(digits)-3] + " " + digits[len(digits)-3:]
		}
	}
	return fmt.Sprint(v)
}
