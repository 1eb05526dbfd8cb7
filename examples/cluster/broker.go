package main

import (
	"context"
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

// program is the name of the program, which its processes share.
const program = "cluster"

// backbone is what the processes have in common.
type backbone struct {
	broker      wsroute.Broker
	revocations wsroute.RevocationLog
	close       func()
}

// connect returns the backbone of the settings. A server that is away is an error: here for NATS,
// and of Mount for Redis, since the broker is required.
func connect(ctx context.Context, s settings) (backbone, error) {
	switch {
	case s.nats != "" && s.redis != "":
		return backbone{}, errors.New("-nats and -redis: there is one broker")
	case s.redis != "":
		return connectRedis(s.redis)
	case s.nats != "":
		return connectNATS(ctx, s.nats)
	}
	stop, err := startNATS(s.embed)
	if err != nil {
		return backbone{}, err
	}
	b, err := connectNATS(ctx, "nats://"+s.embed)
	if err != nil {
		stop()
		return backbone{}, err
	}
	closeConn := b.close
	b.close = func() {
		closeConn()
		stop()
	}
	return b, nil
}

// connectNATS goes on when the server is away for a while, and for ever.
func connectNATS(ctx context.Context, url string) (backbone, error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(time.Second))
	if err != nil {
		return backbone{}, fmt.Errorf("-nats %s: %w", url, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	revocations, err := wsnats.NewLog(ctx, conn, program)
	if err != nil {
		conn.Close()
		return backbone{}, fmt.Errorf("-nats %s: %w", url, err)
	}
	return backbone{wsnats.New(conn), revocations, conn.Close}, nil
}

func connectRedis(url string) (backbone, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return backbone{}, fmt.Errorf("-redis %s: %w", url, err)
	}
	options.MaxRetries, options.DialerRetries = -1, 1 // usher tries again by itself
	client := redis.NewClient(options)
	return backbone{
		wsredis.New(client), wsredis.NewLog(client, program), func() { _ = client.Close() },
	}, nil
}

// startNATS runs a NATS server in this process, so that the example needs nothing else. Its log of
// revocations ends with it.
func startNATS(addr string) (stop func(), err error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("-embed: %w", err)
	}
	dir, err := os.MkdirTemp("", "cluster-nats-")
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		Host: at.Addr().String(), Port: int(at.Port()), NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop = func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
	s.Start()
	if !s.ReadyForConnections(5 * time.Second) {
		stop()
		return nil, fmt.Errorf("a NATS server cannot listen on %s; "+
			"if there is one, say -nats nats://%[1]s", addr)
	}
	return stop, nil
}
