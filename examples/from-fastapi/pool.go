package main

import (
	"context"
	"errors"
	"sync/atomic"

	"example.com/usher/depends"
)

// ErrNoBoard is the program's own error for a board that does not exist.
var ErrNoBoard = errors.New("no such board")

// Pool is a pool of connections to a database.
type Pool struct{ open, lent atomic.Int32 }

func openPool(ctx context.Context, _ struct{}) (*Pool, error) {
	pool := &Pool{}
	pool.open.Store(1)
	depends.Cleanup(ctx, func(context.Context, error) error {
		pool.open.Store(0)
		return nil
	})
	return pool, nil
}

// Session is one of the pool's connections.
type Session struct{ boards map[string][]string }

func (p *Pool) get() *Session {
	p.lent.Add(1)
	return &Session{map[string][]string{"news": {"hello", "usher is here"}}}
}

func (p *Pool) put(*Session) { p.lent.Add(-1) }

// session borrows from the pool for as long as the connection is open.
func session(ctx context.Context, in struct{ Pool *Pool }) (*Session, error) {
	session := in.Pool.get()
	depends.Cleanup(ctx, func(context.Context, error) error {
		in.Pool.put(session)
		return nil
	})
	return session, nil
}

// notes returns the notes of a board from a number on.
func (s *Session) notes(board string, since int) ([]string, error) {
	notes, ok := s.boards[board]
	if !ok {
		return nil, ErrNoBoard
	}
	return notes[min(since, len(notes)):], nil
}
