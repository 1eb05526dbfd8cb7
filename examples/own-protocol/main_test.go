package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}

var key = []byte("a key of at least thirty-two bytes")

func start(t *testing.T) *wstest.Server {
	t.Helper()
	return wstest.Start(t, newRouter(key, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)}))
}

func signed(t *testing.T, name, scope string) string {
	t.Helper()
	text, err := token(key, name, scope)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// dial connects ada with a token of some scopes.
func dial(t *testing.T, srv *wstest.Server, scope string) *wstest.Peer[string, string] {
	t.Helper()
	return wstest.Dial[string, string](t, srv, "/rpc", wstest.Header("Authorization", "Bearer "+signed(t, "ada", scope)))
}

// lines reads a conversation.
func lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// after is a request whose answer must be the next one: nothing has answered what came before.
var after = []string{
	`> {"jsonrpc":"2.0","method":"subtract","params":[2,1],"id":"after"}`,
	`< {"jsonrpc":"2.0","result":1,"id":"after"}`,
}

// TestTheSpecification: the examples of section 7 of the JSON-RPC 2.0 specification.
func TestTheSpecification(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{
			"positional", `{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}`,
			`{"jsonrpc": "2.0", "result": 19, "id": 1}`,
		},
		{
			"positional, swapped", `{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}`,
			`{"jsonrpc": "2.0", "result": -19, "id": 2}`,
		},
		{
			"named", `{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}`,
			`{"jsonrpc": "2.0", "result": 19, "id": 3}`,
		},
		{
			"named, in another order", `{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}`,
			`{"jsonrpc": "2.0", "result": 19, "id": 4}`,
		},
		{"notification", `{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}`, ""},
		{"notification without a method to call", `{"jsonrpc": "2.0", "method": "foobar"}`, ""},
		{
			"no such method", `{"jsonrpc": "2.0", "method": "foobar", "id": "1"}`,
			`{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}`,
		},
		{
			"no JSON", `{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`,
			`{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}`,
		},
		{
			"no request", `{"jsonrpc": "2.0", "method": 1, "params": "bar"}`,
			`{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}`,
		},
		{
			"batch that is no JSON", `[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method"
]`,
			`{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}`,
		},
		{
			"batch of nothing", `[]`,
			`{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}`,
		},
		{
			"batch of one that is no request", `[1]`,
			`[{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}]`,
		},
		{
			"batch of three that are none", `[1,2,3]`, `[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]`,
		},
		{
			"batch of all kinds", `[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]`, `[
        {"jsonrpc": "2.0", "result": 7, "id": "1"},
        {"jsonrpc": "2.0", "result": 19, "id": "2"},
        {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
        {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
        {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
    ]`,
		},
		{
			"batch of notifications", `[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]`, "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			peer := dial(t, start(t), "data:read data:write")
			talk := []string{"> " + tt.send}
			if tt.want != "" {
				talk = append(talk, "< "+tt.want)
			}
			wstest.Converse(t, peer, append(talk, after...)...)
		})
	}
}

// TestConversation is shown in the book.
func TestConversation(t *testing.T) {
	wstest.Converse(t, dial(t, start(t), "data:read"), lines(t, "conversation.txt")...)
}

func TestEachGuardRefuses(t *testing.T) {
	for method, scope := range map[string]string{"update": "data:write", "get_data": "data:read"} {
		ask := `> {"jsonrpc":"2.0","method":"` + method + `","id":1}`
		refused := `< {"jsonrpc":"2.0","error":{"code":-32000,"message":"Refused","data":{"reason":"insufficient_scope"}},"id":1}`
		srv := start(t)
		other := strings.ReplaceAll("data:read data:write", scope, "")
		wstest.Converse(t, dial(t, srv, other), append([]string{ask, refused}, after...)...)
		wstest.Converse(t, dial(t, srv, scope), ask, `< {"jsonrpc":"2.0","result":"*","id":1}`)
	}
}

// TestARefusedNotificationDoesNothing and is not answered.
func TestARefusedNotificationDoesNothing(t *testing.T) {
	wstest.Converse(t, dial(t, start(t), "data:read"),
		`> {"jsonrpc":"2.0","method":"update","params":[1]}`,
		`> {"jsonrpc":"2.0","method":"get_data","id":1}`,
		`< {"jsonrpc":"2.0","result":["hello",5],"id":1}`)
}

func TestANotificationIsDone(t *testing.T) {
	wstest.Converse(t, dial(t, start(t), "data:read data:write"),
		`> {"jsonrpc":"2.0","method":"update","params":[1]}`,
		`> {"jsonrpc":"2.0","method":"get_data","id":1}`,
		`< {"jsonrpc":"2.0","result":[1],"id":1}`)
}

// TestRenewal: a credential with fewer scopes counts from the next request on, also within a
// batch; another principal's, and one that is not valid, close the connection.
func TestRenewal(t *testing.T) {
	srv := start(t)
	renewal := func(name, scope string) string {
		return `{"jsonrpc":"2.0","method":"renew","params":{"token":"` + signed(t, name, scope) + `"},"id":1}`
	}
	const (
		get      = `{"jsonrpc":"2.0","method":"get_data","id":2}`
		data     = `{"jsonrpc":"2.0","result":["hello",5],"id":2}`
		renewed  = `{"jsonrpc":"2.0","result":"*","id":1}`
		refused  = `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Refused","data":{"reason":"insufficient_scope"}},"id":2}`
		required = `{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params",` +
			`"data":{"reason":"invalid_message","errors":[{"loc":["token"],"code":"required"}]}},"id":1}`
	)
	peer := dial(t, srv, "data:read data:write")
	wstest.Converse(t, peer,
		"> "+get, "< "+data,
		"> "+renewal("ada", "data:write"), "< "+renewed,
		"> "+get, "< "+refused,
		"> ["+renewal("ada", "data:read")+","+get+","+renewal("ada", "")+","+get+"]",
		"< ["+renewed+","+data+","+renewed+","+refused+"]",
		`> {"jsonrpc":"2.0","method":"renew","params":{},"id":1}`, "< "+required,
		"> ["+renewal("bob", "data:read")+","+get+"]", "x 3003 other_principal")
	wstest.Converse(t, dial(t, srv, ""), `> {"jsonrpc":"2.0","method":"renew","params":{"token":"no"},"id":1}`,
		"x 3000 invalid_token")
}

func TestBatchesAreBounded(t *testing.T) {
	batch := func(request string, n int) string {
		return "> [" + strings.Repeat(request+",", n-1) + request + "]"
	}
	const (
		one     = `{"jsonrpc":"2.0","method":"sum","params":[],"id":1}`
		update  = `{"jsonrpc":"2.0","method":"update"}`
		tooLong = `< {"jsonrpc":"2.0","error":{"code":-32000,"message":"Refused","data":{"reason":"batch_too_long"}},"id":null}`
	)
	srv := start(t)
	peer := dial(t, srv, "data:read data:write")
	answers := strings.Replace(batch(`{"jsonrpc":"2.0","result":0,"id":1}`, maxBatch), ">", "<", 1)
	wstest.Converse(t, peer, batch(one, maxBatch), answers,
		batch(one, maxBatch+1), tooLong,
		batch("1", 10_000), tooLong,
		batch(update, 1500), tooLong,
		`> {"jsonrpc":"2.0","method":"get_data","id":1}`, `< {"jsonrpc":"2.0","result":["hello",5],"id":1}`,
		batch(update, 10_000), "x 1009 message_too_big")
}

func TestWhatIsNoRequest(t *testing.T) {
	peer := dial(t, start(t), "")
	for _, send := range []string{
		`null`, `1`, `"subtract"`, `{}`, `{"method":"sum","id":1}`, `{"jsonrpc":"1.0","method":"sum","id":1}`,
		`{"jsonrpc":2.0,"method":"sum","id":1}`, `{"jsonrpc":"2.0","id":1}`, `{"jsonrpc":"2.0","method":"sum","params":1,"id":1}`,
		`{"jsonrpc":"2.0","method":"sum","params":null,"id":1}`, `{"jsonrpc":"2.0","method":"sum","id":[1]}`,
		`{"jsonrpc":"2.0","method":"sum","id":{}}`, `{"jsonrpc":"2.0","method":"sum","id":true}`,
	} {
		wstest.Converse(t, peer, "> "+send,
			`< {"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}`)
	}
	for _, id := range []string{`null`, `0`, `-1.5`, `""`, `12345678901234567890`} {
		peer.Send(`{"jsonrpc":"2.0","method":"sum","id":` + id + `}`)
		if got, want := peer.Receive(), `{"jsonrpc":"2.0","result":0,"id":`+id+`}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if err := peer.WebSocket.WriteMessage(websocket.BinaryMessage, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	wstest.Converse(t, peer, "x 1003 binary_not_accepted")
}

// TestWhatAMethodCannotDo: parameters that do not fit, and a result that JSON has no form of.
func TestWhatAMethodCannotDo(t *testing.T) {
	peer := dial(t, start(t), "")
	for _, params := range []string{`[1]`, `[1,2,3]`, `[1,null]`, `["1",2]`, `{"minuend":1}`, `{"minuend":1,"subtrahend":"2"}`} {
		wstest.Converse(t, peer, `> {"jsonrpc":"2.0","method":"subtract","params":`+params+`,"id":1}`,
			`< {"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"*"},"id":1}`)
	}
	wstest.Converse(t, peer, `> {"jsonrpc":"2.0","method":"subtract","id":1}`,
		`< {"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"*"},"id":1}`,
		`> [{"jsonrpc":"2.0","method":"sum","params":[1e308,1e308],"id":1},{"jsonrpc":"2.0","method":"sum","params":[1],"id":2}]`,
		`< [{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error"},"id":1},{"jsonrpc":"2.0","result":1,"id":2}]`)
}

// TestConnectionsAtOnce share the store.
func TestConnectionsAtOnce(t *testing.T) {
	srv := start(t)
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			peer := dial(t, srv, "data:read data:write")
			for range 50 {
				peer.Send(`{"jsonrpc":"2.0","method":"update","params":[1]}`)
			}
			wstest.Converse(t, peer, `> {"jsonrpc":"2.0","method":"get_data","id":1}`,
				`< {"jsonrpc":"2.0","result":[1],"id":1}`)
		})
	}
}
