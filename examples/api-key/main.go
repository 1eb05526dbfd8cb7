// Command api-key lets in programs that have a key. The server stores only the SHA-256 of each
// key, so that nobody who reads the store can connect.
//
//	go run ./examples/api-key
//
// It prints a key. Connect to ws://127.0.0.1:8080/metrics with the header
// "X-API-Key: <key>".
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Device is the owner of a key.
type Device struct{ Name string }

// Devices are known by the hash of their keys.
type Devices map[[sha256.Size]byte]Device

func (d Devices) find(_ context.Context, hash [sha256.Size]byte) (Device, error) {
	if device, ok := d[hash]; ok {
		return device, nil
	}
	return Device{}, depends.ErrAbsent
}

// Sample is a measured value.
type Sample struct {
	Metric string  `json:"metric" validate:"required"`
	Value  float64 `json:"value"`
}

// Ack has the number of samples of a metric that came from a device.
type Ack struct {
	Device string `json:"device"`
	Metric string `json:"metric"`
	Count  int    `json:"count"`
}

// metrics counts the samples of a device.
func metrics(ctx context.Context, conn *wsroute.Conn[Sample, Ack], in struct{ Device Device }) error {
	counts := map[string]int{}
	for {
		sample, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		counts[sample.Metric]++
		if err := conn.Send(ctx, Ack{in.Device.Name, sample.Metric, counts[sample.Metric]}); err != nil {
			return err
		}
	}
}

func newRouter(devices Devices) *wsroute.Router {
	deps := depends.New()
	security.Use(deps, security.APIKey[Device]{
		Sources: []depends.Source{security.Header("X-API-Key")}, Find: devices.find,
	})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/metrics", metrics)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	key := rand.Text()
	ws, engine := newRouter(Devices{sha256.Sum256([]byte(key)): {"boiler"}}), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		fmt.Println(key)
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
