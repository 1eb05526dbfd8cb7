package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// takesPart signs in on the page of examples/cluster, again until the proxy has given it another
// process than one.
func takesPart(t *testing.T, url, name, otherThan string) (w *window, process string) {
	t.Helper()
	for range 6 { // nginx takes turns
		w = open(t, url)
		w.has("username")
		w.types(name + kb.Tab)
		w.types(passwords[name] + kb.Tab + kb.Tab + kb.Enter)
		w.says("status", "Connected to")
		process = strings.TrimSuffix(strings.TrimPrefix(value[string](w, `document.getElementById("status").innerText`), "Connected to "), ".")
		if process != otherThan {
			return w, process
		}
		w.do()
		w.goes("about:blank") // it leaves
	}
	t.Fatalf("all connections go to %s", otherThan)
	return nil, ""
}

func (w *window) sees(users ...string) {
	w.t.Helper()
	w.until(fmt.Sprintf(`[...document.querySelectorAll("#members li")].map((li) => li.firstChild.textContent).join() === %q`, strings.Join(users, ",")))
}

// TestTwoProcesses: two pages on two processes behind nginx talk, one is removed from the other, and
// a page whose process is killed goes on with the other process.
func TestTwoProcesses(t *testing.T) {
	nats := free(t)
	one := start(t, cluster, "127.0.0.1:0", key, "-embed", nats, "-trusted-proxies", "127.0.0.1")
	two := start(t, cluster, "127.0.0.1:0", key, "-nats", "nats://"+nats, "-trusted-proxies", "127.0.0.1")
	at := func(s *server) string { return strings.TrimPrefix(s.url, "http://") }
	t.Cleanup(func() { one.end(t, os.Interrupt) }) // a killed one would leave its folder of NATS behind
	p := frontOf(t, "../examples/cluster/nginx.conf", func(p *proxy) []setting {
		return []setting{{"listen 80;", "listen " + p.at + ";"}, {"one:8081", at(one)}, {"two:8081", at(two)}}
	})
	url := "http://" + p.at

	carol, _ := takesPart(t, url, "carol", at(two))
	alice, _ := takesPart(t, url, "alice", at(one))
	for _, w := range []*window{carol, alice} {
		w.sees("alice", "carol")
	}
	alice.types("hello from two" + kb.Enter)
	for _, w := range []*window{carol, alice} {
		w.says("said", "hello from two")
	}
	carol.clicks("kick-alice")
	alice.says("status", "The connection has ended: kicked.")
	carol.says("said", "alice was removed.")
	carol.sees("carol")

	here, _ := takesPart(t, url, "alice", at(two))
	there, _ := takesPart(t, url, "alice", at(one))
	carol.sees("alice", "carol")
	here.clicks("sign-out")
	for _, w := range []*window{here, there} {
		w.says("status", "The connection has ended: revoked.")
	}
	carol.sees("carol")

	bob, _ := takesPart(t, url, "bob", at(one))
	carol.sees("bob", "carol")
	two.end(t, os.Kill)
	bob.says("status", "Connected to "+at(one))
	bob.types("still here" + kb.Enter)
	carol.says("said", "still here")
	alice.says("status", "The connection has ended: kicked.") // it has not come back
}
