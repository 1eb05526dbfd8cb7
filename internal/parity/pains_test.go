package parity_test

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	positions "go/token"
	"path"
	"slices"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// answer says whether usher does what was asked of FastAPI.
type answer string

const (
	answered   answer = "answered"
	partly     answer = "in part"
	unanswered answer = "not answered"
)

// pain is something that users of FastAPI have asked for on WebSockets.
type pain struct {
	id, asked string
	answer    answer
	how       string // usher's answer, or why there is none
	shown     string // what holds it: scenarios, and "file Test" separated by commas
}

const root = "../../"

var pains = []pain{
	{
		"P1", "security classes that work on a WebSocket", answered,
		"A scheme reads the handshake request alone: one serves WebSockets, plain requests and `security.Authenticate`, and an unsafe one does not start.",
		"S112, S113, examples/authorising/main_test.go TestOneUserForBoth, security/scheme_test.go TestSchemesThatMustNotStart",
	},
	{
		"P2", "a token from a browser, which sets no header", answered,
		"A scheme looks in as many places as it names: subprotocol, cookie, query, ticket. What it takes is gone from the request, never selected as a subprotocol, and printed by nobody.",
		"wsroute/credential_test.go TestEverySource, wsroute/secret_test.go TestNoSecretAnywhere, security/ticket_test.go TestATicketIsForOneUseOnePathAndOneOrigin, e2e/credentials_test.go TestWhatABrowserCanShow",
	},
	{
		"P3", "an end to the connection whose token expires or is revoked", answered,
		"It closes with 3000 at the token's end, or is renewed in place; `depends.Revalidate` asks again, `Router.Revoke` ends at once.",
		"S124, wsroute/expiry_test.go TestExpiry, wsroute/renew_test.go TestRenewal, wsroute/revalidate_test.go TestRevalidate, wsroute/revoke_test.go TestRevoke",
	},
	{
		"P4", "a refusal that the client can read", answered,
		"A status and a problem document; for pages, route by route, a close frame (`wsroute.AcceptThenClose`) or an answer to `fetch` (`wsroute.Diagnose`).",
		"S04, S95, wsroute/credential_test.go TestAcceptThenClose, wsroute/handshake_test.go TestDiagnose, e2e/chat_test.go TestRefusedJoinSaysWhy",
	},
	{
		"P5", "404 for a path that is no route", answered,
		"404, on gin in gin's own words; nothing is redirected under Serve, which turns gin's redirects off.",
		"S05, S06",
	},
	{
		"P6", "validation errors that reach the client", answered,
		"422 with each parameter and what is wrong with it, once; 1008 `invalid_parameters` on a route with `wsroute.AcceptThenClose`.",
		"S74, S77, S105, wsroute/handshake_test.go TestParametersOverTheWire, wsroute/credential_test.go TestAcceptThenClose",
	},
	{
		"P7", "a close frame for an uncaught error, and one place to say what is told", answered,
		"500 before the upgrade, 1011 after it, whatever panics; `Config.MapError` knows the program's errors, wrapped and joined ones too.",
		"S100, S108, internal/faults/lifecycle_test.go TestRow25Panics, wsroute/config_test.go TestMapError",
	},
	{
		"P8", "a meaning for an HTTP error after the upgrade", answered,
		"A `*depends.Rejection` has a status and a close code; the one follows from the other unless it says both.",
		"S98, wsroute/conn_test.go TestHowAConnectionCloses",
	},
	{
		"P9", "a close frame when the handler returns, and no data lost behind it", answered,
		"nil is 1000, an error 1011, and the closing handshake is waited for within a bound.",
		"S02, wsroute/conn_test.go TestHowAConnectionCloses, wsroute/conn_test.go TestOurCloseDeliversNothingMore, wsroute/drain_test.go TestDrainOfMany",
	},
	{
		"P10", "a database session that is not held for the whole connection", answered,
		"`depends.Handshake` values are released with the 101 or the refusal; who would keep one is told so at Mount.",
		"S71, S56, examples/lifecycle/main_test.go TestOnePoolForMany",
	},
	{
		"P11", "dependencies for each message", answered,
		"On a route of `HandleMessages`, and of a `Call`, the input of a message is resolved for it: `depends.Message` values are made for one message and released before its answer. In a loop `depends.Live` reads what is current.",
		"S44, wsroute/channel_deps_test.go TestAMessageHasDependencies, wsroute/revalidate_test.go TestRevalidate",
	},
	{
		"P12", "dependencies that live as long as the program", answered,
		"`depends.App`: made in Mount, closed in reverse at the end, undone if one of them fails, overridden like any other.",
		"depends/resolve_test.go TestLifetimes, depends/resolve_test.go TestAFailedAppProviderUndoesTheOthers, wsroute/serve_test.go TestServeStopsCleanlyAndReleasesTheApp, examples/from-fastapi/main_test.go TestPool",
	},
	{
		"P13", "typed messages that are validated", answered,
		"`Conn[Recv, Send]` decodes and validates, and a bad message leaves the connection usable. `HandleMessages` dispatches by the type of a message, answers bad ones with an error, and closes after too many.",
		"wsroute/conn_test.go TestEveryKindOfMessageEchoes, wsroute/channel_hostile_test.go TestBadMessages, wsroute/channel_hostile_test.go TestTooManyBadMessages",
	},
	{
		"P14", "a wrong frame or bad JSON that does not kill the socket", answered,
		"It is an error of `Receive`: the handler answers and goes on, or returns it and closes with 1003, 1007 or 1008.",
		"S25, S26, wsroute/conn_test.go TestABadMessageLeavesTheConnectionUsable",
	},
	{
		"P15", "documents of WebSocket routes, as OpenAPI has of HTTP", answered,
		"`asyncapi.Describe` makes an AsyncAPI 3.0.0 document of the declarations, valid by the official schema; its page opens the real socket, clients in TypeScript and Go are generated, and `asyncapi.Check` keeps it in the repo.",
		"wsroute/asyncapi/internal/schematest/document_test.go TestDocumentsAreAsyncAPI, wsroute/asyncapi/check_test.go TestCheck, e2e/client_test.go TestRequestsInTheBrowser",
	},
	{
		"P16", "a gone client that is noticed, and a handler that is cancelled", answered,
		"The connection reads ahead and pings. The handler's context ends at once with `ErrPeerLost`; after a close, when the messages before it are received, or `Limits.CloseGrace` is over, with the close code.",
		"S30, wsroute/conn_test.go TestTheContextEndsWhileTheHandlerWorks, wsroute/conn_test.go TestASilentPeerIsPingedAndThenLost, internal/faults/peer_test.go TestRow21HalfOpen",
	},
	{
		"P17", "close twice, and send after the end, without a crash", answered,
		"The second Close does nothing; Send and Receive return the cause of the end.",
		"S28, S30, S107, wsroute/conn_test.go TestOurCloseDeliversNothingMore",
	},
	{
		"P18", "a disconnect that is not logged as a crash", answered,
		"A handler returns the error of Receive, and a peer's close is one line in the log, of level INFO.",
		"S21, wsroute/log_test.go TestOneLineForARefusalAndOneForAnEnd",
	},
	{
		"P19", "background tasks", answered,
		"`Sender.Go` is work beside the connection, which ends with it and is waited for. What is to be done afterwards is a cleanup: the peer does not wait for it, and it has a time budget. A field that nothing fills does not start.",
		"S68, S94, wsroute/call_test.go TestWorkBesideAConnection, internal/faults/lifecycle_test.go TestRow35Cleanups",
	},
	{
		"P20", "a check of the Origin", answered,
		"Before anything of the program runs; without `Config.Origins` only pages of the same host connect; of an IP address or localhost, if nobody is authenticated.",
		"S111, wsroute/origin_test.go TestOriginMatrix, wsroute/origin_test.go TestOriginOnTheWire, e2e/credentials_test.go TestAPageOfAnotherPort",
	},
	{
		"P21", "HTTP middleware that runs for WebSockets", answered,
		"gin middleware runs before the handshake, and what it leaves is a dependency by `wsroute.FromGin`.",
		"wsroute/gin_test.go TestAGinProgramMountsUsherUnchanged, examples/existing/main_test.go TestTheSocketHasWhatMiddlewareKnows",
	},
	{
		"P22", "no route that is open by mistake", answered,
		"A WebSocket that authenticates nobody does not start unless it says `wsroute.Public`; a group's guards belong to its routes, and `Router.Explain` says what guards each.",
		"S47, wsroute/public_test.go TestARouteThatAuthenticatesNobodyDoesNotStart",
	},
	{
		"P23", "overrides for one test, for sub-apps, and around the original", answered,
		"They replace in the router of one test, reach groups, and are a fault if they match nothing. One that wraps declares the input of the original and calls it, a function as any other; to ask for one's own type is a cycle.",
		"S131, S133, wsroute/wstest/wstest_test.go TestOverridesHoldForOneRouter, wsroute/report_test.go TestAnUnusedOverrideIsAFault, examples/testing/main_test.go TestWrapped, internal/parity/pains_test.go TestAnOverrideOfItselfIsACycle",
	},
	{
		"P24", "dependencies that run in parallel", unanswered,
		"They run in order, so that the same request meets the same refusal every time and no provider starts behind one that refuses. One provider may do several things at once itself.",
		"S55, S76",
	},
	{
		"P25", "scopes without double calls and missed caches", answered,
		"A principal is made once, and the scopes of all ways to its scheme are united and checked against what it grants.",
		"S119, S120, S122, wsroute/credential_test.go TestScopes",
	},
	{
		"P26", "a test client that does not hang", answered,
		"It is a client of a real server, and everything that waits has a deadline and fails the test.",
		"S-TC1, wsroute/wstest/wstest_test.go TestWhatShouldFailATestDoes",
	},
	{
		"P27", "a shutdown that ends", answered,
		"New connections are 503, open ones 1012 at a pace, handlers' contexts end; what is left at the deadline is cut off and counted.",
		"S34, S35, wsroute/drain_test.go TestDrainOfMany, internal/faults/lifecycle_test.go TestRow32Drain, wsroute/serve_test.go TestServeStopsCleanlyAndReleasesTheApp",
	},
	{
		"P28", "timeouts: handshake, first message, idle, lifetime", answered,
		"The handshake, its dependencies, a message, a stalled handler and a write have bounds; `depends.ValidUntil` is the lifetime; for a first or next message, `Receive` with a timeout loses nothing.",
		"S123, internal/faults/peer_test.go TestRow19SlowHandshake, internal/faults/lifecycle_test.go TestRow34SlowDependency, wsroute/flood_test.go TestAMessageThatDoesNotEnd, wsroute/conn_test.go TestAFullReadAheadSlowsThePeer, wsroute/conn_test.go TestAPeerThatReadsNothingIsGivenUp, wsroute/expiry_test.go TestExpiry, wsroute/conn_test.go TestCancellingReceiveLosesNothing",
	},
	{
		"P29", "limits for each route, rates of messages, bounds on inflating", answered,
		"`wsroute.Limits` bound message size (as it is inflated), message rate and queues, for a router, a group or a route. Connections are counted by the router.",
		"wsroute/limits_test.go TestLimitsOfARoute, wsroute/flood_test.go TestMessageRate, wsroute/deflate_test.go TestCompression, internal/faults/peer_test.go TestRow27Limits",
	},
	{
		"P30", "rooms, and slow clients that delay nobody", answered,
		"`wsroute.NewRooms`: rooms by name, in all processes by a broker (NATS, Redis), with who is in them. A message is encoded once, queues are bounded, and who reads too slowly is closed or loses the oldest.",
		"wsroute/rooms_test.go TestRooms, internal/presence/history_test.go TestHistories, wsroute/room_test.go TestRoomSendsToAllInOneOrder, wsroute/room_test.go TestRoomDoesNotWaitForASlowMember, wsroute/send_queue_test.go TestDropOldest, internal/faults/peer_test.go TestRow20SlowReader",
	},
	{
		"P31", "traces and metrics", answered,
		"`wsroute/wsprom` and `wsroute/wsotel` have metrics and spans of handshakes, providers, messages and connections; `Config.Trace` has hooks for others. One line of `Config.Logger` for each refusal and each end.",
		"wsroute/trace_test.go TestEveryHandshakeAndEveryConnectionIsToldOnce, wsroute/log_test.go TestOneLineForARefusalAndOneForAnEnd, wsroute/drain_test.go TestDrainOfMany, wsroute/gin_test.go TestAGinProgramMountsUsherUnchanged",
	},
	{
		"P32", "a check of one's own around each route, and a look at the graph", partly,
		"`wsroute.Require` on a group is the check, and a handler is a function that another can wrap. `Router.Routes` has each route's parameters, credentials, guards and messages as data. Which provider needs which is in the text of `Router.Explain` alone: nothing but a reader has needed it, and data would be a promise.",
		"S45, wsroute/report_test.go TestExplain, wsroute/routes_test.go TestRoutes",
	},
	{
		"P33", "dependencies outside of routes", unanswered,
		"A graph resolves for the routes of a router alone, plain HTTP ones included. To resolve anywhere would make it a container to ask, which hides what a function needs. A worker calls the providers, which are functions.",
		"wsroute/http_test.go TestHandleHTTP, examples/testing/main_test.go TestHandler",
	},
}

// TestAnOverrideOfItselfIsACycle: an override that asks for the type that it replaces asks
// for itself, and the server does not start. One that wraps calls the original.
func TestAnOverrideOfItselfIsACycle(t *testing.T) {
	w := newWorld(t, "gin", wsroute.Config{})
	constant(w, name("real"))
	shows(w, "/ws", func(in struct{ Name name }) string { return string(in.Name) })
	_, err := w.mount(depends.Override(func(_ context.Context, in struct{ Name name }) (name, error) {
		return in.Name + "!", nil
	}))
	if err == nil || !strings.Contains(err.Error(), "cycle: ") {
		t.Errorf("got %v", err)
	}
}

// proofs returns what a pain's answer is held by: "S01", or a file and a test.
func proofs(shown string) (scenarios []string, tests [][2]string) {
	for _, one := range strings.Split(shown, ", ") {
		if file, test, found := strings.Cut(one, " "); found {
			tests = append(tests, [2]string{file, test})
		} else {
			scenarios = append(scenarios, one)
		}
	}
	return scenarios, tests
}

// ran says whether a test is behind a scenario.
func ran(id string) bool {
	return slices.ContainsFunc(chapters, func(c chapter) bool {
		return slices.ContainsFunc(c.scenarios, func(s scenario) bool { return s.id == id && s.run != nil })
	})
}

// testsOf returns the names of the tests in a file.
func testsOf(t *testing.T, file string) map[string]bool {
	t.Helper()
	tree, err := parser.ParseFile(positions.NewFileSet(), root+file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, declared := range tree.Decls {
		if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil {
			names[f.Name.Name] = true
		}
	}
	return names
}

// TestEveryPainIsAnswered, or not, for a reason; and what is said to hold it exists.
func TestEveryPainIsAnswered(t *testing.T) {
	for i, p := range pains {
		if p.id != fmt.Sprintf("P%d", i+1) || p.asked == "" || p.how == "" || p.shown == "" {
			t.Errorf("%s, number %d, is not complete", p.id, i+1)
		}
		scenarios, tests := proofs(p.shown)
		for _, id := range scenarios {
			if !ran(id) {
				t.Errorf("%s: no test is behind %s", p.id, id)
			}
		}
		for _, test := range tests {
			if !strings.HasSuffix(test[0], "_test.go") || !strings.HasPrefix(test[1], "Test") || !testsOf(t, test[0])[test[1]] {
				t.Errorf("%s: %s has no test %s", p.id, test[0], test[1])
			}
		}
	}
	if len(pains) != 33 {
		t.Errorf("%d of 33", len(pains))
	}
}

const painsHead = `
## What FastAPI's users have asked for

%d wishes and complaints from the issues of FastAPI, Starlette and uvicorn, and what usher has
for them. S-numbers are scenarios of the tables above.

%s
| | asked for | usher | | held by |
|---|---|---|---|---|
`

func renderPains(b *bytes.Buffer) {
	counts := map[answer]int{}
	for _, p := range pains {
		counts[p.answer]++
	}
	var summary strings.Builder
	for _, a := range []answer{answered, partly, unanswered} {
		fmt.Fprintf(&summary, "- %s: %d\n", a, counts[a])
	}
	fmt.Fprintf(b, painsHead, len(pains), summary.String())
	for _, p := range pains {
		scenarios, tests := proofs(p.shown)
		var held []string
		if len(scenarios) > 0 {
			held = append(held, "[TestParity](../internal/parity/parity_test.go) "+strings.Join(scenarios, " "))
		}
		for _, test := range tests {
			held = append(held, fmt.Sprintf("[%s](%s)", test[1], path.Join("..", test[0])))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", p.id, cell(p.asked), cell(p.how), p.answer, strings.Join(held, ", "))
	}
}
