package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for something on a page.
const patience = 20 * time.Second

// names are what the browser is called, here and there.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// tidyUp is done when all tests have run.
var tidyUp []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range slices.Backward(tidyUp) {
		f()
	}
	os.Exit(code)
}

// browser starts the one browser of all tests.
var browser = sync.OnceValues(func() (context.Context, error) {
	path := found()
	if path == "" {
		return nil, fmt.Errorf("none of %v is installed", names)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WindowSize(1280, 1000))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	tidyUp = append(tidyUp, stop, cancel)
	return ctx, chromedp.Do(ctx)
})

func found() string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// window is a page of its own, with nothing in common with another's.
type window struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the browser found wrong with the page
}

// watch tells the console of what the policy has stopped.
const watch = `addEventListener("securitypolicyviolation", (e) =>
	console.error("Content Security Policy: " + e.violatedDirective + " " + e.blockedURI));`

// open shows a URL. When the test ends, there must be no fault that it has not
// taken with wrongs.
func open(t *testing.T, url string, before ...chromedp.Action[chromedp.Void]) *window {
	t.Helper()
	parent, err := browser()
	if err != nil {
		if found() == "" && os.Getenv("CI_E2E") == "" {
			t.Skipf("no browser: %v; install Debian's chromium", err)
		}
		t.Fatalf("no browser: %v", err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	w := &window{t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page at the end:\n%s", value[string](w, "document.body.innerText"))
		}
		cancel()
		if wrong := w.wrongs(); len(wrong) > 0 {
			t.Errorf("the browser found faults in the page: %q", wrong)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // opens the page, without a deadline
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, w.hear); err != nil {
		t.Fatal(err)
	}
	w.do(runsFirst(watch))
	w.do(before...)
	w.do(chromedp.Navigate(url))
	return w
}

// runsFirst runs a script in each page before its own.
func runsFirst(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	})
}

// hear keeps what is wrong. That a request fails is no fault of the page: some
// tests make them fail.
func (w *window) hear(event any) {
	fault := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceSecurity || strings.Contains(e.Entry.Text, "Content Security Policy") {
			fault = e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		fault = e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			fault += string(arg.Value)
		}
	}
	if fault != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.faults = append(w.faults, fault)
	}
}

// wrongs takes the faults so far.
func (w *window) wrongs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.faults
	w.faults = nil
	return taken
}

// do takes steps on the page.
func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.t.Fatalf("on the page: %v", err)
	}
}

// goes to another URL.
func (w *window) goes(url string) {
	w.t.Helper()
	w.do(chromedp.Navigate(url))
}

// value is what a JavaScript expression is on the page.
func value[T any](w *window, expression string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		w.t.Fatalf("%s: %v", expression, err)
	}
	return got
}

// waiting waits in the page for a condition. chromedp's own Poll needs eval,
// which the policy forbids.
const waiting = `new Promise((resolve) => {
	const look = () => { if (%s) { observer.disconnect(); clearInterval(often); resolve(true); } };
	const observer = new MutationObserver(look);
	observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
	const often = setInterval(look, 50); // focus and values are no mutations
	look();
})`

// until waits for a condition, which is a JavaScript expression.
func (w *window) until(condition string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(waiting, condition), chromedp.EvalAwaitPromise)); err != nil {
		w.t.Fatalf("waiting for %s: %v", condition, err)
	}
}

// says waits until an element shows a text.
func (w *window) says(id, text string) {
	w.t.Helper()
	w.until(fmt.Sprintf("document.getElementById(%q).checkVisibility() && document.getElementById(%q).innerText.includes(%q)", id, id, text))
}

// has waits until an element has the focus.
func (w *window) has(focus string) {
	w.t.Helper()
	w.until(fmt.Sprintf("document.activeElement.id === %q", focus))
}

// types presses keys, into whatever has the focus.
func (w *window) types(keys string) {
	w.t.Helper()
	w.do(chromedp.KeyEvent(keys))
}

// picks clicks something in the menu of the sign-in.
func (w *window) picks(id string) {
	w.t.Helper()
	if w.counts("#menu:popover-open") == 0 {
		w.clicks("account")
	}
	w.clicks(id)
}

func (w *window) clicks(id string) {
	w.t.Helper()
	w.do(chromedp.Click(chromedp.ID(id)))
}
