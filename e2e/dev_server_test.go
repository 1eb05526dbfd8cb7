package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var dev = sync.OnceValues(func() (string, error) { return build("dev-server") })

// console collects the errors that a page's console shows.
type console struct {
	mu    sync.Mutex
	lines []string
}

func (c *console) hear(event any) {
	if e, ok := event.(*log.EventEntryAdded); ok && e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.URL, "favicon") {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lines = append(c.lines, e.Entry.Text)
	}
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n") + "\n"
}

const asking = `new Promise(async (resolve) => {
	const fetched = async (method, path) => {
		try {
			const answer = await fetch(%[1]q + path, { method, credentials: "include" });
			return answer.status + " " + (await answer.text());
		} catch (error) {
			return error.message;
		}
	};
	const out = [await fetched("POST", "/login"), await fetched("GET", "/me")];
	const socket = new WebSocket(%[1]q.replace("http", "ws") + "/hello");
	socket.onmessage = (event) => out.push(event.data);
	socket.onclose = (event) => { out.push("closed with " + event.code); resolve(out.join("; ")); };
})`

// TestAPageOfADevServer: what the page and its console get to see, with and without its origin in
// Config.Origins, and at another name of the same machine.
func TestAPageOfADevServer(t *testing.T) {
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><title>dev</title><link rel="icon" href="data:,">`)
	}))
	defer pages.Close()
	page := strings.Replace(pages.URL, "127.0.0.1", "localhost", 1)

	listed := start(t, dev, "127.0.0.1:0", "", "-origins", page)
	api := strings.Replace(listed.url, "127.0.0.1", "localhost", 1)
	w := open(t, page)
	ask := func(api string) string {
		return evaluated(w, fmt.Sprintf(asking, api))
	}
	if got, want := ask(api), "204 ; 200 ada; hello, ada; closed with 1000"; got != want {
		t.Errorf("a listed page: %q, want %q", got, want)
	}
	if got := ask(listed.url); !strings.HasPrefix(got, "204 ; 401 ") || !strings.HasSuffix(got, "; closed with 1006") {
		t.Errorf("the cookie of 127.0.0.1, at a page of localhost: %q", got)
	}

	unlisted := start(t, dev, "127.0.0.1:0", "")
	other := strings.Replace(unlisted.url, "127.0.0.1", "localhost", 1)
	var c console
	if err := chromedp.Listen(w.ctx, c.hear); err != nil {
		t.Fatal(err)
	}
	if got, want := ask(other), "Failed to fetch; Failed to fetch; closed with 1006"; got != want {
		t.Errorf("a page that is not listed: %q, want %q", got, want)
	}
	got := strings.NewReplacer(page, "http://localhost:5173", strings.TrimPrefix(other, "http://"), "localhost:8080").Replace(c.text())
	if *update {
		if err := os.WriteFile("testdata/console.txt", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/console.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the console shows:\n%s\nwant:\n%s", got, want)
	}
}

// evaluated waits for the promise that an expression is.
func evaluated(w *window, expression string) string {
	w.t.Helper()
	got, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("%s: %v", expression, err)
	}
	return got
}
