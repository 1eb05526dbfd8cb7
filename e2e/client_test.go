package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// meet serves the page of rooms and opens it.
func meet(t *testing.T, path string) (*server, *window) {
	t.Helper()
	s := serveRooms(t, "127.0.0.1:0")
	w := open(t, s.url+path, runsFirst(countSockets))
	w.until("globalThis.client")
	return s, w
}

func serveRooms(t *testing.T, addr string) *server {
	t.Helper()
	return start(t, rooms, addr, "", "-client", filepath.Join(compiled(t), "client.js"))
}

// connects makes a connection with a token, and keeps what it asks for in asks and its states in
// states. seconds says for how long a token is good, and is 0 for one whose end the page does not know.
func (w *window) connects(connect, token string, seconds int) {
	w.t.Helper()
	value[any](w, fmt.Sprintf(`(() => {
		globalThis.asks = [];
		globalThis.states = [];
		globalThis.room = client.%s({
			credential: ({ why }) => {
				asks.push(why);
				return { in: "subprotocol", value: %q, expires: %d ? Date.now() + %[3]d * 1000 : undefined };
			},
		});
		room.on("state", (state) => states.push([state.is, state.why?.reason, state.why?.code, state.why?.status].filter(Boolean).join(" ")));
	})()`, connect, token, seconds))
}

const theLobby = `connectRoom.bind(null, { room: "lobby" })`

// was compares the states so far.
func (w *window) was(want ...string) {
	w.t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		w.t.Fatal(err)
	}
	w.until(fmt.Sprintf("states.length >= %d", len(want)))
	if got := value[string](w, "JSON.stringify(states)"); got != string(text) {
		w.t.Errorf("the states were %s, want %s", got, text)
	}
}

// gets waits for a promise and compares what it is, or why it is not.
func (w *window) gets(promise, want string) {
	w.t.Helper()
	value[any](w, fmt.Sprintf(`(() => {
		globalThis.got = undefined;
		Promise.resolve(%s).then((value) => { got = JSON.stringify(value); }, (failure) => {
			got = JSON.stringify([failure.reason, failure.detail, failure.errors, failure.sent]);
		});
	})()`, promise))
	w.until("globalThis.got !== undefined")
	if got := value[string](w, "got"); got != want {
		w.t.Errorf("%s: got %s, want %s", promise, got, want)
	}
}

func TestRequestsInTheBrowser(t *testing.T) {
	_, w := meet(t, "/")
	w.connects(theLobby, "alice", 0)
	w.gets(`room.request("say", { text: "hi" })`, `{"type":"said","ref":1,"by":"alice","text":"hi","tags":null}`)
	w.gets(`room.request("say", { text: "" })`, `["invalid_message",null,[{"loc":["text"],"code":"min","param":"1"}],true]`)
	w.gets(`room.request("fail")`, `["muted","until noon",[],true]`)
	w.gets(`(async () => {
		const asked = room.stream("ask", { words: 2 }), words = [];
		for await (const { text } of asked) words.push(text);
		return [words, (await asked.answer).words];
	})()`, `[["word 0","word 1"],2]`)
	w.gets(`room.send("typing")`, "true")
	w.was("connecting", "open")
	w.connects(theLobby, "a+b/c==", 0)
	w.gets(`room.request("say", { text: "hi" }).then(({ by }) => by)`, `"a+b/c=="`)
	w.connects(`connectEcho.bind(null, {})`, "", 0)
	w.gets(`room.opened.then(() => new Promise((resolve) => {
		room.on("message", resolve);
		room.send({ text: "hi" });
	}))`, `[{"by":"echo","text":"hi","tags":null}]`)
}

func TestEndsInTheBrowser(t *testing.T) {
	_, w := meet(t, "/")
	w.connects(theLobby, "alice", 0)
	w.gets(`room.opened.then(() => room.send("kick"))`, "true")
	w.was("connecting", "open", "closed kicked 4001")
	w.connects(theLobby, "alice", 0)
	w.gets(`room.opened.then(() => room.send("revoke"))`, "true")
	w.was("connecting", "open", "closed revoked 3000")
}

// TestRefusalsInTheBrowser: it does not say why, and the client finds out.
func TestRefusalsInTheBrowser(t *testing.T) {
	_, w := meet(t, "/")
	w.connects(theLobby, "nobody", 0)
	w.was("connecting", "connecting", "closed invalid_token 401")
	w.gets("asks", `["connect","rejected"]`)
	w.connects(theLobby, "banned", 0)
	w.was("connecting", "closed banned 403")
	w.gets("room.state.why.detail", `"until noon"`)
	w.connects(`connectRoom.bind(null, { room: "not alphanumeric" })`, "alice", 0)
	w.was("connecting", "closed invalid_parameters 422")
	w.connects("connectLate.bind(null, {})", "nobody", 0)
	w.was("connecting", "connecting", "closed invalid_token 3000")
	w.gets("asks", `["connect","rejected"]`)
	w.connects("connectLate.bind(null, {})", "alice", 0)
	w.gets(`room.request("say", { text: "hi" }).then(({ by }) => by)`, `"alice"`)
}

func TestRenewalInTheBrowser(t *testing.T) {
	_, w := meet(t, "/")
	w.connects(theLobby, "alice~6", 6)
	w.until("asks.length === 3")
	w.gets(`room.request("say", { text: "hi" }).then(({ by }) => by)`, `"alice"`)
	w.was("connecting", "open")
	w.gets("[asks, sockets.length]", `[["connect","renew","renew"],1]`)
	w.connects(theLobby, "alice~1", 0)
	w.until(`asks.includes("rejected") && states.filter((state) => state === "open").length > 1`)
	value[any](w, "room.close()")
	if got := value[string](w, `states.slice(1, 4).join()`); got != "open,connecting,open" {
		t.Errorf("after an expiry: %s", got)
	}
}

func TestRestartInTheBrowser(t *testing.T) {
	s, w := meet(t, "/")
	w.connects(theLobby, "alice", 0)
	w.was("connecting", "open")
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	s.end(t, os.Interrupt)
	w.until(`states[2] === "waiting server_restart 1012"`)
	value[any](w, `(() => { globalThis.said = room.request("say", { text: "waits" }).then(({ text }) => text); })()`)
	serveRooms(t, u.Host)
	w.until(`states.at(-1) === "open"`)
	w.gets("said", `"waits"`)
}

// TestPolicyThatBlocks: the browser is not let out by the page.
func TestPolicyThatBlocks(t *testing.T) {
	_, w := meet(t, "/blocked")
	w.connects(theLobby, "alice", 0)
	w.was("connecting", "closed blocked")
	for _, fault := range w.wrongs() {
		if !strings.Contains(fault, "Content Security Policy") {
			t.Errorf("the browser found %q", fault)
		}
	}
}
