// Command own-protocol serves JSON-RPC 2.0, a protocol with an envelope of its own: its methods
// have dependencies, guards and scopes, as the messages of wsroute.HandleMessages do.
//
//	go run ./examples/own-protocol
//
// It prints a token. Connect with it in the header Authorization to ws://127.0.0.1:8080/rpc, and
// send {"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Claims are the claims of a token; its scopes are in one string.
type Claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope,omitempty"`
}

// Scopes returns the scopes that the token grants.
func (c Claims) Scopes() []string { return strings.Fields(c.Scope) }

// Operands are the parameters of subtract, by name or by position.
type Operands struct {
	Minuend    *float64 `json:"minuend"    validate:"required"`
	Subtrahend *float64 `json:"subtrahend" validate:"required"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (o *Operands) UnmarshalJSON(data []byte) error {
	type byName Operands
	if data[0] != '[' {
		return json.Unmarshal(data, (*byName)(o))
	}
	var list []*float64
	if err := json.Unmarshal(data, &list); err != nil || len(list) != 2 {
		return errors.Join(err, errors.New("two numbers are wanted"))
	}
	o.Minuend, o.Subtrahend = list[0], list[1]
	return nil
}

func subtract(_ context.Context, o Operands, _ struct{}) (float64, error) {
	return *o.Minuend - *o.Subtrahend, nil
}

func sum(_ context.Context, numbers []float64, _ struct{}) (total float64, err error) {
	for _, n := range numbers {
		total += n
	}
	return total, nil
}

// Store is shared data.
type Store struct {
	mu   sync.Mutex // locked by a Draft
	data []any
}

// Draft is the data for one method. The store gets it back if the method has succeeded.
type Draft struct{ Data []any }

func draft(ctx context.Context, in struct{ Store *Store }) (*Draft, error) {
	in.Store.mu.Lock()
	d := &Draft{in.Store.data}
	depends.Cleanup(ctx, func(_ context.Context, cause error) error {
		if cause == nil {
			in.Store.data = d.Data
		}
		in.Store.mu.Unlock()
		return nil
	})
	return d, nil
}

func update(_ context.Context, data []any, in struct{ Draft *Draft }) (bool, error) {
	in.Draft.Data = data
	return true, nil
}

func getData(_ context.Context, _ struct{}, in struct{ Draft *Draft }) ([]any, error) {
	return in.Draft.Data, nil
}

func hello(context.Context, []any, struct{}) (bool, error) { return true, nil }

func newRouter(key []byte, config *wsroute.Config) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, &Store{data: []any{"hello", 5}})
	depends.Provide(deps, draft, depends.Message)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: issuer, Audience: audience,
	})
	rpc := &service{methods: map[string]method{"renew": renew}}
	add(rpc, "subtract", wsroute.NewCall(subtract))
	add(rpc, "sum", wsroute.NewCall(sum))
	add(rpc, "update", wsroute.NewCall(update, wsroute.Scopes("data:write")))
	add(rpc, "get_data", wsroute.NewCall(getData, wsroute.Scopes("data:read")))
	add(rpc, "notify_hello", wsroute.NewCall(hello))
	add(rpc, "notify_sum", wsroute.NewCall(sum))

	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/rpc", rpc.serve,
		append(rpc.calls, wsroute.Require[Claims](), wsroute.Renewable)...)
	return ws
}

const issuer, audience = "https://id.example.com", "rpc"

// token is for an hour. A real program asks for a password first.
func token(key []byte, name, scope string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: name,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}, scope}).SignedString(key)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	key := []byte(rand.Text() + rand.Text())
	signed, err := token(key, "ada", "data:read data:write")
	fmt.Println("Authorization: Bearer", signed)
	ws, engine := newRouter(key, nil), gin.New()
	err = errors.Join(err, ws.Mount(engine))
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
