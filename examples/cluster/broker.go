package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wsnats"
	"example.com/usher/wsroute/wsredis"
)

// connect returns the broker of the settings. One that is away makes Mount fail, since it is
// required.
func connect(s settings) (broker wsroute.Broker, closeAll func(), err error) {
	switch {
	case s.nats != "" && s.redis != "":
		return nil, nil, errors.New("-nats and -redis: there is one broker")
	case s.redis != "":
		return connectRedis(s.redis)
	case s.nats != "":
		return connectNATS(s.nats)
	}
	stop, err := startNATS(s.embed)
	if err != nil {
		return nil, nil, err
	}
	broker, closeConn, err := connectNATS("nats://" + s.embed)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return broker, func() {
		closeConn()
		stop()
	}, nil
}

// connectNATS goes on when the server is away for a while, and for ever.
func connectNATS(url string) (wsroute.Broker, func(), error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(time.Second))
	if err != nil {
		return nil, nil, fmt.Errorf("-nats %s: %w", url, err)
	}
	return wsnats.New(conn), conn.Close, nil
}

func connectRedis(url string) (wsroute.Broker, func(), error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, nil, fmt.Errorf("-redis %s: %w", url, err)
	}
	options.MaxRetries, options.DialerRetries = -1, 1 // usher tries again by itself
	client := redis.NewClient(options)
	return wsredis.New(client), func() { _ = client.Close() }, nil
}

// startNATS runs a NATS server in this process, so that the example needs nothing else.
func startNATS(addr string) (stop func(), err error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("-embed: %w", err)
	}
	s, err := server.NewServer(&server.Options{
		Host: at.Addr().String(), Port: int(at.Port()), NoLog: true, NoSigs: true, StoreDir: os.TempDir(),
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(5 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("a NATS server cannot listen on %s; "+
			"if there is one, say -nats nats://%[1]s", addr)
	}
	return func() {
		s.Shutdown()
		s.WaitForShutdown()
	}, nil
}
