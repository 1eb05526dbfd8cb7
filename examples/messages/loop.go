package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// The program of docs/loops.md: an auction, whose handlers have the loop to themselves.

// Bid is a message of a bidder.
type Bid struct {
	Item  string `json:"item"  validate:"required,max=40"`
	Cents int    `json:"cents" validate:"gt=0,lte=1000000"`
}

// Receipt is sent to the bidder.
type Receipt struct {
	Bid   int    `json:"bid,omitempty"` // its number
	Error string `json:"error,omitempty"`
}

// Taken is a bid, as it is sent to the watchers.
type Taken struct {
	Bid   int    `json:"bid"`
	Item  string `json:"item"`
	Cents int    `json:"cents"`
}

// Auction counts bids and sends them to its rooms.
type Auction struct {
	mu       sync.Mutex // a bid is counted and sent before the next one
	bids     int
	watchers wsroute.Room[Taken] // see only the newest, if they are slow
	ledgers  wsroute.Room[Taken] // see each, or are disconnected
}

// Take takes a bid.
func (a *Auction) Take(ctx context.Context, bid Bid) (Receipt, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bids++
	taken := Taken{a.bids, bid.Item, bid.Cents}
	return Receipt{Bid: taken.Bid}, errors.Join(a.watchers.Send(ctx, taken), a.ledgers.Send(ctx, taken))
}

type auctionInput struct{ Auction *Auction }

// strict ends with the first message that is no Bid: it returns the error of Receive, which has
// the close code.
func strict(ctx context.Context, conn *wsroute.Conn[Bid, Receipt], in auctionInput) error {
	for {
		bid, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		receipt, err := in.Auction.Take(ctx, bid)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, receipt); err != nil {
			return err
		}
	}
}

// patient answers a message that is no Bid, and goes on.
func patient(ctx context.Context, conn *wsroute.Conn[Bid, Receipt], in auctionInput) error {
	for {
		var receipt Receipt
		bid, err := conn.Receive(ctx)
		if wrong, ok := errors.AsType[*wsroute.MessageError](err); ok {
			receipt.Error = wrong.Reason
		} else if err != nil {
			return err
		} else if receipt, err = in.Auction.Take(ctx, bid); err != nil {
			return err
		}
		if err := conn.Send(ctx, receipt); err != nil {
			return err
		}
	}
}

// watch and ledger send all bids, until the peer goes.
func watch(ctx context.Context, conn *wsroute.Conn[wsroute.Discard, Taken], in auctionInput) error {
	defer in.Auction.watchers.Join(conn)()
	_, err := conn.Receive(ctx)
	return err
}

func ledger(ctx context.Context, conn *wsroute.Conn[wsroute.Discard, Taken], in auctionInput) error {
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

// openAuction adds the auction's routes, which are open to everybody.
func openAuction(ws *wsroute.Router, auction *Auction) {
	depends.Supply(ws.Deps(), auction)
	public := ws.Group("", wsroute.Public)
	wsroute.Handle(public, "/strict", strict)
	wsroute.Handle(public, "/bids", patient)
	wsroute.Handle(public, "/watch", watch, wsroute.DropOldest, wsroute.Limits{SendMessages: 64})
	wsroute.Handle(public, "/ledger", ledger)
	wsroute.Handle(public, "/picture", picture)
}
