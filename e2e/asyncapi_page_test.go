package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// contract is the test program of the package, whose TestPageServer serves the page.
var contract = sync.OnceValues(func() (string, error) { return compile("contract", "test", "./wsroute/asyncapi", "-c") })

// The tokens that its server takes.
const (
	goodToken = "good-token"
	oddToken  = "good token/ü"
)

func serveContract(t *testing.T) *server {
	t.Helper()
	return start(t, contract, "127.0.0.1:0", key, "-test.run=^TestPageServer$")
}

// shows opens the page of a channel.
func shows(t *testing.T, s *server, channel string) *window {
	t.Helper()
	w := open(t, s.url+"/docs/#/"+channel)
	w.until(`document.getElementById("title") !== null`)
	return w
}

// visits shows the page of a channel in the same window, without what it had.
func (w *window) visits(t *testing.T, s *server, channel string) {
	t.Helper()
	w.t = t
	w.goes("about:blank")
	w.goes(s.url + "/docs/#/" + channel)
	w.until(`document.getElementById("title") !== null`)
}

// labelled is the id of the visible input whose label begins with a text, within an element.
func (w *window) labelled(within, label string) string {
	w.t.Helper()
	id := value[string](w, fmt.Sprintf(`[...document.getElementById(%q).querySelectorAll("label")]
		.find((l) => l.textContent.startsWith(%q) && l.checkVisibility())?.htmlFor ?? ""`, within, label))
	if id == "" {
		w.t.Fatalf("%s has no input %q", within, label)
	}
	return id
}

// enters types into an input, over what it has.
func (w *window) enters(within, label, text string) {
	w.t.Helper()
	w.fills(w.labelled(within, label), text)
}

// chooses picks an option of a select, as a user does.
func (w *window) chooses(within, label, option string) {
	w.t.Helper()
	found := value[bool](w, fmt.Sprintf(`(() => {
		const select = document.getElementById(%q);
		const option = [...select.options].find((o) => o.text.startsWith(%q));
		if (option) select.value = option.value;
		select.dispatchEvent(new Event("change"));
		return Boolean(option);
	})()`, w.labelled(within, label), option))
	if !found {
		w.t.Fatalf("%s has no option %q", label, option)
	}
}

// TestContractSources: each place of a credential that a browser can use lets its user in.
func TestContractSources(t *testing.T) {
	s := serveContract(t)
	w := shows(t, s, "")
	defer func() { w.t = t }()
	for _, tt := range []struct{ channel, by, token, opened string }{
		{"ws.query", "Query, token", goodToken, "Open since"},
		{"ws.query", "Query, token", oddToken, "Open since"},
		{"ws.cookie", "Cookie, session", "", "Open since"},
		{"ws.subprotocol", "Subprotocol", goodToken, ", bearer"},
		{"ws.subprotocol", "Subprotocol", oddToken, ", bearer"}, // in base64url by itself
		{"ws.subprotocol", "Subprotocol, base64url", goodToken, ", bearer"},
		{"ws.ticket", "Query, ticket: fetch a ticket", goodToken, "Open since"},
		{"ws.rooms.room", "Subprotocol", goodToken, ", chat.v1"},
		{"ws.rooms.room", "Subprotocol, base64url", oddToken, ", chat.v1"},
	} {
		t.Run(tt.channel+" "+tt.by, func(t *testing.T) {
			w.visits(t, s, tt.channel)
			if tt.token == "" {
				value[any](w, `void fetch("/sign-in", { method: "POST" }).then(() => { document.body.dataset.signed = "1"; })`)
				w.until(`document.body.dataset.signed === "1"`)
			}
			w.chooses("connect", "Send it by", tt.by)
			if tt.token != "" {
				w.enters("connect", "Token", tt.token)
			}
			w.clicks("open")
			w.says("status", "Open since")
			w.says("status", tt.opened)
			w.hides(tt.token)
			if elsewhere := value[[]string](w, `performance.getEntriesByType("resource").map((e) => e.name)
				.filter((name) => !name.startsWith(location.origin))`); len(elsewhere) > 0 {
				t.Errorf("the page has loaded %q", elsewhere)
			}
		})
	}
}

// hides wants a token to be nowhere but in the value of its field.
func (w *window) hides(token string) {
	w.t.Helper()
	if token != "" && value[bool](w, fmt.Sprintf(`[document.documentElement.outerHTML, location.href, document.cookie,
		JSON.stringify(localStorage), JSON.stringify(sessionStorage)].some((text) => text.includes(%q))`, token)) {
		w.t.Error("the token is on the page")
	}
}

// TestContractRefusals: what the page says of a handshake that is refused, by route.
func TestContractRefusals(t *testing.T) {
	s := serveContract(t)
	w := shows(t, s, "")
	defer func() { w.t = t }()
	for _, tt := range []struct {
		channel, by, token string
		says               []string
	}{
		{"ws.query", "Query", "bad", []string{"401 invalid_token", "The token is unknown, or has expired."}},
		{"ws.query", "Nothing", "", []string{"401 credentials_required", "No token was sent."}},
		{"ws.cookie", "Cookie", "", []string{"401 credentials_required"}},
		{"ws.subprotocol", "Subprotocol", "bad", []string{"401 invalid_token"}},
		{"ws.ticket", "Query, ticket: fetch", "bad", []string{"No ticket: the answer is 401 invalid_token"}},
		{"ws.ticket", "Query, ticket: a ticket", "bad", []string{"401 invalid_ticket"}},
		{"ws.silent", "Query", "bad", []string{"The browser hides", "wsroute.Diagnose"}},
		{"ws.accept", "Query", "bad", []string{"The token is unknown, or has expired."}},
	} {
		t.Run(tt.channel+" "+tt.by, func(t *testing.T) {
			w.visits(t, s, tt.channel)
			w.chooses("connect", "Send it by", tt.by)
			if tt.token != "" {
				w.enters("connect", "Token", tt.token)
			}
			w.clicks("open")
			for _, text := range tt.says {
				w.says("why", text)
			}
		})
	}
	t.Run("parameters", func(t *testing.T) {
		w.visits(t, s, "ws.rooms.room")
		w.enters("connect", "Token", goodToken)
		w.enters("connect", "room", "4da")
		w.clicks("open")
		w.says("why", "422 invalid_parameters")
		w.says("why", "A parameter breaks its rules.")
		w.says("why", "alpha")
	})
	t.Run("no server", func(t *testing.T) {
		w.visits(t, s, "ws.echo")
		s.end(t, os.Kill)
		w.clicks("open")
		w.says("why", "cannot be reached.")
	})
}

// inRoom opens the page of the room and connects.
func inRoom(t *testing.T, s *server) *window {
	t.Helper()
	w := shows(t, s, "ws.rooms.room")
	w.enters("connect", "Token", goodToken)
	w.clicks("open")
	w.says("status", "Open since")
	return w
}

// unfolds opens the card of a message.
func (w *window) unfolds(id string) {
	w.t.Helper()
	value[any](w, fmt.Sprintf(`void (document.getElementById(%q).closest("details").open = true)`, id))
}

// TestContractMessages: answers and errors are shown below what was sent.
func TestContractMessages(t *testing.T) {
	w := inRoom(t, serveContract(t))
	w.enters("send-say", "text", `<b>"hi"</b>`)
	w.enters("send-say", "number", "9007199254740993")
	w.types(kb.Enter)
	w.says("answers-say", "said after")
	w.says("answers-say", `"from": "ada"`)
	w.says("answers-say", `"text": "<b>\"hi\"</b>"`)
	w.says("log", `"ref":1,"text":"<b>\"hi\"</b>"`)
	w.says("log", `"number":9007199254740993`) // as it was typed, and as it came
	if got := w.counts("#answers-say b b, #log code b"); got != 0 {
		t.Errorf("what was said became %d elements", got)
	}

	w.enters("send-say", "text", strings.Repeat("x", 21))
	w.types(kb.Enter)
	w.says("answers-say", "invalid_message A member does not fit, or breaks its rules.")
	w.says("answers-say", "max 20")
	w.until(`document.querySelector("#send-say [aria-invalid=true]").closest(".field").innerText.includes("max 20")`)
	w.enters("send-say", "text", "hi")
	w.chooses("send-say", "mood", "sad")
	w.enters("send-say", "text", "oh"+kb.Enter)
	w.says("answers-say", "muted You may not speak in this room. Be glad.")
	w.enters("send-say", "marks", "[{")
	value[any](w, `document.getElementById("send-say").requestSubmit()`)
	w.says("send-say", "This is no JSON")

	w.clicks("ping")
	w.says("why", "The pong came after")
	w.unfolds("send-wait")
	value[any](w, `document.getElementById("send-wait").requestSubmit()`)
	w.says("answers-wait", "waiting")
	value[any](w, `document.querySelector("#answers-wait button").click()`)
	w.says("answers-wait", "cancelled It was cancelled.")

	w.unfolds("send-count")
	value[any](w, `document.getElementById("send-count").requestSubmit()`)
	w.says("answers-count", "said after")
	if got := value[string](w, `[...document.querySelectorAll("#answers-count pre")].map((e) => JSON.parse(e.textContent).type).join()`); got != "seen,seen,said" {
		t.Errorf("a stream is shown as %s", got)
	}
	w.until(`document.querySelector("#answers-count button").hidden`)

	w.unfolds("send-binary")
	w.enters("send-binary", "Content", "00 ff 7f")
	value[any](w, `document.getElementById("send-binary").requestSubmit()`)
	w.says("log", `"bytes":3`)
	w.enters("send-binary", "Content", "0")
	value[any](w, `document.getElementById("send-binary").requestSubmit()`)
	w.says("send-binary", "Write two hex digits")
	w.unfolds("send-frame")
	w.enters("send-frame", "Content", "{")
	value[any](w, `document.getElementById("send-frame").requestSubmit()`)
	w.says("log", `"reason":"invalid_json"`)

	w.chooses("send-binary", "Frame", "Bytes of a file")
	value[any](w, `(() => {
		const files = new DataTransfer();
		files.items.add(new File([new Uint8Array(5)], "five"));
		document.querySelector("#send-binary [type=file]").files = files.files;
		document.getElementById("send-binary").requestSubmit();
	})()`)
	w.says("log", `"bytes":5`)
}

// TestContractFrames: of any kind, and a parameter that holds slashes.
func TestContractFrames(t *testing.T) {
	w := shows(t, serveContract(t), "ws.files.path")
	w.enters("connect", "path", "a b/c")
	w.clicks("open")
	w.says("status", "Open since")
	w.enters("send-any", "Content", "plain text")
	value[any](w, `document.getElementById("send-any").requestSubmit()`)
	w.says("log", "a b/c plain text")
	w.chooses("send-any", "Frame", "Bytes in hex")
	w.enters("send-any", "Content", "c0 FF ee")
	value[any](w, `document.getElementById("send-any").requestSubmit()`)
	w.until(`[...document.querySelectorAll("#log .received code")].some((e) => e.textContent.endsWith("20 c0 ff ee"))`)
}

// TestContractEnds: what a close code means, and whether to come back.
func TestContractEnds(t *testing.T) {
	s := serveContract(t)
	w := inRoom(t, s)
	w.unfolds("send-kick")
	value[any](w, `document.getElementById("send-kick").requestSubmit()`)
	w.says("status", "Closed with 4001 kicked")
	w.says("why", "Somebody has removed you from the room.")
	w.says("why", "Do not reconnect")
	w.clicks("open")
	w.says("status", "Open since")
	w.clicks("close")
	w.says("status", "Closed with 1000")

	echo := shows(t, s, "ws.echo")
	echo.clicks("open")
	echo.says("status", "Open since")
	echo.enters("send-received", "message", "hello there"+kb.Enter)
	echo.until(`document.querySelector("#log .received")?.innerText.includes("hello there")`)
	echo.enters("send-received", "message", "end"+kb.Enter)
	echo.says("status", "Closed with 4444 ended")
	echo.says("why", "No meaning is declared")
	echo.clicks("open")
	echo.says("status", "Open since")
	s.end(t, os.Interrupt)
	echo.says("status", "Closed with 10")
	echo.says("why", "Reconnect after a pause")
}

// TestContractRenewal: the new token is not shown, and a page that is left has none.
func TestContractRenewal(t *testing.T) {
	w := inRoom(t, serveContract(t))
	w.unfolds("renew")
	w.enters("renew", "New token", "other-token"+kb.Enter)
	w.says("why", "Renewed until it is revoked.")
	w.says("log", `"token":"•••"`)
	w.hides("other-token")
	w.hides(goodToken)
	value[any](w, `dispatchEvent(new Event("pagehide"))`)
	w.until(`[...document.querySelectorAll("[type=password]")].every((i) => i.value === "")`)
}

// TestContractByKeyboard: from the address to an answer, by Tab, Enter and letters alone.
func TestContractByKeyboard(t *testing.T) {
	w := shows(t, serveContract(t), "ws.rooms.room")
	tab := func(until string) {
		t.Helper()
		for range 60 {
			w.types(kb.Tab)
			if value[bool](w, until) {
				return
			}
		}
		t.Fatalf("Tab does not lead to %s", until)
	}
	tab(`document.activeElement.className === "skip"`)
	w.types(kb.Enter)
	w.has("main")
	tab(`document.activeElement.type === "password"`)
	w.types(goodToken + kb.Enter)
	w.says("status", "Open since")
	tab(`document.activeElement.id === "ping"`)
	w.types(kb.Enter)
	w.says("why", "The pong came")
	tab(`document.activeElement.id === "log"`)
	tab(`document.activeElement.labels?.[0]?.textContent.startsWith("text") ?? false`)
	value[any](w, `document.activeElement.select()`)
	w.types("by hand" + kb.Enter)
	w.says("answers-say", `"text": "by hand"`)
}

// TestContractNavigation: a link shows its channel, and a connection stays open meanwhile.
func TestContractNavigation(t *testing.T) {
	w := inRoom(t, serveContract(t))
	w.do(chromedp.Click(chromedp.CSS(`nav a[href="#/ws.echo"]`)))
	w.says("title", "/ws/echo")
	w.has("title")
	w.says("status", "Not connected")
	w.do(chromedp.Click(chromedp.CSS(`nav a[href="#/ws.rooms.room"]`)))
	w.says("title", "/ws/rooms/{room}")
	w.says("status", "Open since")
}

// TestContractOfBrokenDocuments: what can be read is shown, and each fault is named.
func TestContractOfBrokenDocuments(t *testing.T) {
	s := serveContract(t)
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	document := ""
	proxy := httputil.NewSingleHostReverseProxy(target)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/asyncapi.json") {
			proxy.ServeHTTP(w, r)
		} else if document == "" {
			http.Error(w, "it is gone", http.StatusInternalServerError)
		} else {
			_, _ = fmt.Fprint(w, document)
		}
	}))
	defer page.Close()
	w := open(t, s.url)
	defer func() { w.t = t }()
	const channel = `{"asyncapi":"3.0.0","info":{"title":"T","version":"1"},"channels":{"a":%s}}`
	for name, tt := range map[string]struct {
		document, shows string
		says            []string
	}{
		"absent":        {"", "", []string{"asyncapi.json cannot be read: the server answers 500"}},
		"no JSON":       {"<html>", "", []string{"asyncapi.json cannot be read:"}},
		"a list":        {"[1]", "", []string{"asyncapi is not 3.x", "channels are missing"}},
		"null":          {"null", "", []string{"asyncapi is not 3.x"}},
		"2.x":           {`{"asyncapi":"2.6.0","info":{"title":"Old"},"channels":{"a":{"publish":{}}}}`, "a", []string{"asyncapi is not 3.x", "channels.a.address is missing"}},
		"no channels":   {`{"asyncapi":"3.0.0","info":{"title":"T"}}`, "", []string{"channels are missing"}},
		"empty channel": {fmt.Sprintf(channel, `{}`), "a", []string{"channels.a.address is missing", "channels.a.messages are missing"}},
		"null channel":  {fmt.Sprintf(channel, `null`), "a", []string{"channels.a is no object"}},
		"text channel":  {fmt.Sprintf(channel, `"x"`), "a", []string{"channels.a is no object"}},
		"no parameter":  {fmt.Sprintf(channel, `{"address":"/a/{b}","messages":{"m":{}}}`), "/a/{b}", []string{"channels.a.parameters lack b"}},
		"reference":     {fmt.Sprintf(channel, `{"address":"/a","messages":{"m":{"$ref":"#/components/messages/none"}}}`), "/a", []string{"channels.a.messages.m refers to #/components/messages/none, which is not there"}},
		"circle": {`{"asyncapi":"3.0.0","info":{"title":"T"},"channels":{"a":{"address":"/a","messages":{"m":{"payload":{"$ref":"#/components/schemas/S"}}}}},
			"components":{"schemas":{"S":{"$ref":"#/components/schemas/S"}}}}`, "/a", nil},
		"wrong kinds": {`{"asyncapi":"3.0.0","info":[],"servers":[1],"channels":{"a":{"address":"/a","description":{},"messages":{"m":7},"parameters":3,"bindings":[],
			"x-security":{"a":1},"x-guards":7,"x-limits":[],"x-close-codes":{"a":1},"x-handshake-errors":[null,3],"x-origins":"no","x-type-member":9}},"operations":{"o":3,"p":{"action":"receive","channel":{"$ref":"#/channels/a"},"messages":[{"$ref":"#/channels/a/messages/m"}]}}}`, "/a", []string{"info.title is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.t, document = t, tt.document
			w.goes(page.URL + "/docs/")
			if len(tt.says) > 0 {
				w.says("faults", "This document has faults")
			}
			for _, text := range tt.says {
				w.says("faults", text)
			}
			if tt.shows != "" {
				w.says("main", tt.shows)
			}
			if tt.shows == "/a" {
				w.clicks("open")
				w.says("why", "The browser hides the answer")
			}
		})
	}
	w.t, document = t, `{"asyncapi":"2.6.0","channels":{"half":{"address":"/half/{way}"}}}`
	w.goes(page.URL + "/docs/")
	w.says("faults", "channels.half.messages are missing")
	w.inspects("contract-6-broken")
}

// TestContractLooks at the page in each state, size and colour.
func TestContractLooks(t *testing.T) {
	s := serveContract(t)
	w := shows(t, s, "ws.rooms.room")
	w.chooses("connect", "Server", "production")
	w.says("connect", "A server of another origin must list this one")
	w.chooses("connect", "Server", "This host")
	value[any](w, `document.getElementById("title").focus()`)
	w.inspects("contract-1-new")
	w.enters("connect", "Token", "bad")
	w.clicks("open")
	w.says("why", "401")
	w.inspects("contract-2-refused")
	w.enters("connect", "Token", goodToken)
	w.clicks("open")
	w.says("status", "Open since")
	w.enters("send-say", "text", "hi"+kb.Enter)
	w.says("answers-say", "said after")
	w.enters("send-say", "text", strings.Repeat("x", 40)+kb.Enter)
	w.says("answers-say", "invalid_message")
	w.touches("open", "close", "ping", "clear")
	w.inspects("contract-3-talking")
	w.unfolds("send-binary")
	w.unfolds("send-frame")
	w.unfolds("send-kick")
	value[any](w, `document.getElementById("send-frame").focus()`)
	value[any](w, `document.getElementById("send-binary").querySelector("select").focus()`)
	w.inspects("contract-4-more")
	ticket := shows(t, s, "ws.ticket")
	value[any](ticket, `scrollTo(0, 1e6)`)
	ticket.inspects("contract-5-ticket")
}
