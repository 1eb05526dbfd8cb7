// Command expiry-and-renewal keeps a connection exactly as long as it is authorised:
// its token ends it, a new token on the open connection prolongs it, a provider asks the store
// again whether the account may stay, and signing out ends it at once.
//
//	go run ./examples/expiry-and-renewal
//
// It prints a token for ada that lives for a minute. Connect with it to
// ws://127.0.0.1:8080/prices?token=…, ask with {"type":"ask","of":"tea"}, and renew with
// {"type":"renew","token":"<a new token>"} from http://127.0.0.1:8080/token.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

const (
	issuer   = "https://id.example.com"
	lifetime = time.Minute
)

// Claims are the claims of a token.
type Claims struct{ jwt.RegisteredClaims }

// Plans is the store of what each account has paid for.
type Plans struct {
	mu sync.Mutex
	of map[string]string
}

// Set changes the plan of an account; "" is none.
func (p *Plans) Set(name, plan string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[name] = plan
}

// Plan is what the account of a connection has paid for.
type Plan struct{ Name, Level string }

// currentPlan runs in the handshake, every ten seconds while the connection is open,
// and when the token is renewed.
func currentPlan(_ context.Context, in struct {
	Claims Claims
	Plans  *Plans
},
) (Plan, error) {
	in.Plans.mu.Lock()
	defer in.Plans.mu.Unlock()
	level := in.Plans.of[in.Claims.Subject]
	if level == "" {
		return Plan{}, depends.Forbidden("no_plan", nil)
	}
	return Plan{in.Claims.Subject, level}, nil
}

// Event is what the server sends.
type Event interface{ event() }

// Ask is a question for a price.
type Ask struct {
	Of string `json:"of" validate:"required,max=100"`
}

// Price is its answer.
type Price struct {
	Of    string  `json:"of"`
	Price float64 `json:"price"`
	Level string  `json:"level"`
}

func (Price) event() {}

// price answers as the plan of this moment allows.
func price(_ context.Context, ask Ask, in struct{ Plan Plan }) (Price, error) {
	return Price{ask.Of, 42, in.Plan.Level}, nil
}

// ticker sends the price of tea every five seconds. No message brings it a new Plan, so it reads
// the current one.
func ticker(ctx context.Context, conn *wsroute.Conn[wsroute.Discard, Price], in struct{ Plan depends.Live[Plan] }) error {
	for {
		if err := conn.Send(ctx, Price{"tea", 42, in.Plan.Get().Level}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Second):
		}
	}
}

func newApp(key []byte, plans *Plans) (*wsroute.Router, *gin.Engine, error) {
	deps := depends.New()
	depends.Supply(deps, plans)
	depends.Provide(deps, currentPlan, depends.Revalidate(10*time.Second))
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: issuer, InsecureAnyAudience: true, Leeway: time.Nanosecond,
		Sources: []depends.Source{security.BearerHeader(), security.QueryToken("token")},
	})
	ws := wsroute.New(deps, nil)
	prices := wsroute.HandleMessages(ws, "/prices", wsroute.Union[Event]{"price": Price{}},
		wsroute.Renewable, wsroute.Require[Plan]())
	wsroute.Answer(prices, "ask", price)
	wsroute.Handle(ws, "/ticker", ticker)

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/token", func(c *gin.Context) { c.String(http.StatusOK, token(key)) })
	engine.POST("/logout", func(c *gin.Context) {
		plans.Set("ada", "") // first refuse new connections, then end open ones
		ended, _ := ws.Revoke(c, wsroute.Revocation{Issuer: issuer, Subject: "ada"})
		c.String(http.StatusOK, "%d connections have ended", ended)
	})
	return ws, engine, ws.Mount(engine)
}

// token is for ada. A real program asks for her password first.
func token(key []byte) string {
	now := time.Now()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: issuer, Subject: "ada", IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
	}}).SignedString(key)
	if err != nil {
		return err.Error()
	}
	return signed
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	key := []byte(rand.Text() + rand.Text())
	ws, engine, err := newApp(key, &Plans{of: map[string]string{"ada": "gold"}})
	if err == nil {
		fmt.Println(token(key))
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
