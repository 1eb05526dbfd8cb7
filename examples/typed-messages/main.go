// Command typed-messages is an auction: bids are structs that are checked before the handler
// gets them, all watchers get them, and pictures are binary.
//
//	go run ./examples/typed-messages
//
// Send {"item":"lamp","cents":250} to ws://127.0.0.1:8080/bids, and listen on
// ws://127.0.0.1:8080/watch.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Bid is a message of a bidder.
type Bid struct {
	Item  string `json:"item"  validate:"required,max=40"`
	Cents int    `json:"cents" validate:"gt=0,lte=1000000"`
}

// Answer is sent to the bidder.
type Answer struct {
	Bid   int    `json:"bid,omitempty"` // its number
	Error string `json:"error,omitempty"`
}

// Event is sent to the watchers.
type Event struct {
	Bid   int    `json:"bid"`
	Item  string `json:"item"`
	Cents int    `json:"cents"`
}

// Auction counts bids and sends them to its rooms.
type Auction struct {
	mu       sync.Mutex // a bid is counted and sent before the next one
	bids     int
	watchers wsroute.Room[Event] // see only the newest, if they are slow
	ledgers  wsroute.Room[Event] // see each, or are disconnected
}

// Take takes a bid.
func (a *Auction) Take(ctx context.Context, bid Bid) (Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bids++
	event := Event{a.bids, bid.Item, bid.Cents}
	return Answer{Bid: event.Bid}, errors.Join(a.watchers.Send(ctx, event), a.ledgers.Send(ctx, event))
}

type input struct{ Auction *Auction }

// strict ends with the first message that is no Bid: it returns the error of Receive, which has
// the close code.
func strict(ctx context.Context, conn *wsroute.Conn[Bid, Answer], in input) error {
	for {
		bid, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		answer, err := in.Auction.Take(ctx, bid)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, answer); err != nil {
			return err
		}
	}
}

// patient answers a message that is no Bid, and goes on.
func patient(ctx context.Context, conn *wsroute.Conn[Bid, Answer], in input) error {
	for {
		var answer Answer
		bid, err := conn.Receive(ctx)
		if wrong, ok := errors.AsType[*wsroute.MessageError](err); ok {
			answer.Error = wrong.Reason
		} else if err != nil {
			return err
		} else if answer, err = in.Auction.Take(ctx, bid); err != nil {
			return err
		}
		if err := conn.Send(ctx, answer); err != nil {
			return err
		}
	}
}

// watch and ledger send all bids, until the peer goes.
func watch(ctx context.Context, conn *wsroute.Conn[string, Event], in input) error {
	defer in.Auction.watchers.Join(conn)()
	_, err := conn.Receive(ctx)
	return err
}

func ledger(ctx context.Context, conn *wsroute.Conn[string, Event], in input) error {
	defer in.Auction.ledgers.Join(conn)()
	_, err := conn.Receive(ctx)
	return err
}

// picture takes only binary messages, and answers with the length of each.
func picture(ctx context.Context, conn *wsroute.Conn[[]byte, string], _ struct{}) error {
	for {
		data, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, fmt.Sprintf("%d bytes", len(data))); err != nil {
			return err
		}
	}
}

func newRouter(auction *Auction, config *wsroute.Config) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, auction)
	ws := wsroute.New(deps, config).Group("", wsroute.Public) // an auction is open to everybody
	wsroute.Handle(ws, "/strict", strict)
	wsroute.Handle(ws, "/bids", patient)
	wsroute.Handle(ws, "/watch", watch, wsroute.DropOldest, wsroute.Limits{SendMessages: 64})
	wsroute.Handle(ws, "/ledger", ledger)
	wsroute.Handle(ws, "/picture", picture)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	ws, engine := newRouter(&Auction{}, nil), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
