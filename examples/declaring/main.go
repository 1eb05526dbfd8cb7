// Command declaring has an input of every kind: parameters, a guard, an optional value, and
// values that live for the program, for the handshake, for the connection.
//
//	KEEPER_KEY=k go run ./examples/declaring
//
// It prints what each route needs, then what happens. Connect to
// ws://127.0.0.1:8080/stations/oslo, and with the header "X-API-Key: k" to
// ws://127.0.0.1:8080/stations/oslo/calibrate?offset=0.5.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is the owner of a key. A Keeper is a user who may calibrate: a function that has a Keeper
// knows that this was checked.
type (
	User   struct{ Name string }
	Keeper struct{ User }
)

func keeper(_ context.Context, in struct{ User User }) (Keeper, error) {
	if in.User.Name != "ada" {
		return Keeper{}, depends.Forbidden("not_a_keeper", nil)
	}
	return Keeper{in.User}, nil
}

// Stations are opened once, when the program starts.
type Stations struct{ names map[string]bool }

func openStations(ctx context.Context, in struct{ Log *log.Logger }) (*Stations, error) {
	in.Log.Print("stations: opened")
	depends.Cleanup(ctx, func(context.Context, error) error {
		in.Log.Print("stations: closed")
		return nil
	})
	return &Stations{map[string]bool{"oslo": true}}, nil
}

// Tx is the transaction of a handshake.
type Tx struct{ names map[string]bool }

func begin(ctx context.Context, in struct {
	Stations *Stations
	Log      *log.Logger
},
) (Tx, error) {
	in.Log.Print("tx: begun")
	depends.Cleanup(ctx, func(_ context.Context, cause error) error {
		in.Log.Printf("tx: ended, cause: %v", cause)
		return nil
	})
	return Tx{in.Stations.names}, nil
}

// Station is proof that the station exists.
type Station struct{ Name string }

func findStation(ctx context.Context, in struct {
	Name string `path:"station" validate:"alpha,max=20"`
	Tx   Tx     `depends:"handshake-only"`
	Log  *log.Logger
},
) (Station, error) {
	if !in.Tx.names[in.Name] {
		return Station{}, depends.NotFound("no_such_station", nil)
	}
	in.Log.Print("station: found")
	depends.Cleanup(ctx, func(_ context.Context, cause error) error {
		in.Log.Printf("station: left, cause: %v", cause)
		return nil
	})
	return Station{in.Name}, nil
}

// Units is a parameter with a type and a decoder of its own.
type Units string

// UnmarshalText takes one of the two units.
func (u *Units) UnmarshalText(text []byte) error {
	if *u = Units(text); *u != "metric" && *u != "imperial" {
		return errors.New("no such units")
	}
	return nil
}

// Window selects measurements. Inputs that need it embed it.
type Window struct {
	From  *time.Time    `query:"from"` // nil if it is absent
	Every time.Duration `query:"every" default:"10s" validate:"gte=1s"`
	Kinds []string      `query:"kind" validate:"dive,oneof=wind rain"` // ?kind=wind&kind=rain
	Raw   bool          `query:"raw" default:"no"`
}

type watchInput struct {
	Window
	User    depends.Optional[User] // nobody need sign in
	Station Station
	Units   Units `query:"units" default:"metric"`
	Client  depends.ClientAddr
}

func watch(ctx context.Context, conn *wsroute.Conn[string, string], in watchInput) error {
	name := "a guest"
	if in.User.OK {
		name = in.User.Value.Name
	}
	hello := fmt.Sprintf("%s watches %s every %v, %v, %s", name, in.Station.Name, in.Every, in.Kinds, in.Units)
	if err := conn.Send(ctx, hello); err != nil {
		return err
	}
	_, err := conn.Receive(ctx) // until the peer goes
	return err
}

type calibrateInput struct {
	_       Keeper // must be one; who it is does not matter
	Station Station
	Offset  float64 `query:"offset" validate:"gte=-1,lte=1"`
}

func calibrate(ctx context.Context, conn *wsroute.Conn[string, string], in calibrateInput) error {
	return conn.Send(ctx, fmt.Sprintf("%s is off by %v", in.Station.Name, in.Offset))
}

func newRouter(logger *log.Logger, config *wsroute.Config) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, logger)
	depends.Provide(deps, openStations, depends.App)
	depends.Provide(deps, begin, depends.Handshake)
	depends.Provide(deps, findStation) // depends.Connection
	depends.Provide(deps, keeper)
	security.Use(deps, security.APIKey[User]{Sources: []depends.Source{security.Header("X-API-Key")}, Find: owner})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/stations/:station", watch, wsroute.Public)
	wsroute.Handle(ws, "/stations/:station/calibrate", calibrate)
	return ws
}
