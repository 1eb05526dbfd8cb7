package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// crowd is every open connection of a server that is written by hand, so that it
// can be drained.
type crowd[T comparable] struct {
	mu       sync.Mutex
	members  map[T]struct{}
	draining bool
	empty    chan struct{}
}

// enter reports whether there is still room: not when draining has begun.
func (c *crowd[T]) enter(member T) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	if c.members == nil {
		c.members = map[T]struct{}{}
	}
	c.members[member] = struct{}{}
	return true
}

func (c *crowd[T]) leave(member T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, inside := c.members[member]; !inside {
		return // it came too late
	}
	delete(c.members, member)
	if c.draining && len(c.members) == 0 {
		close(c.empty)
	}
}

// drain dismisses everybody and waits until they have left.
func (c *crowd[T]) drain(ctx context.Context, dismiss func(T)) error {
	c.mu.Lock()
	c.draining, c.empty = true, make(chan struct{})
	if len(c.members) == 0 {
		close(c.empty)
	}
	all := make([]T, 0, len(c.members))
	for member := range c.members {
		all = append(all, member)
	}
	c.mu.Unlock()
	for _, member := range all {
		dismiss(member)
	}
	select {
	case <-c.empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain: %w", ctx.Err())
	}
}

// newEngine is gin as all servers on it use it.
func newEngine() *gin.Engine {
	engine := gin.New()
	engine.RedirectTrailingSlash = false
	engine.HandleMethodNotAllowed = true
	return engine
}

// serveByHand serves until ctx ends, drains, and shuts down.
func serveByHand(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger, drain func(context.Context) error) error {
	server := newHTTPServer(handler, logger)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	bounded := func(d time.Duration, f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		return f(ctx)
	}
	return errors.Join(bounded(drainTimeout, drain), bounded(closeTimeout, server.Shutdown))
}

// logEnd is a connection's one line.
func logEnd(logger *slog.Logger, route, remote string, code int, since time.Time, err error) {
	attrs := []slog.Attr{
		slog.String("route", route), slog.String("remote", remote),
		slog.Int("code", code), slog.Duration("duration", time.Since(since)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	logger.LogAttrs(context.Background(), slog.LevelInfo, "connection ended", attrs...)
}
