package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
)

// memory is a database in memory, so that the program needs none. It knows one statement, update.
type memory struct {
	mu     sync.Mutex
	cents  map[string]int64
	commit func(apply func()) error // tests let it fail
}

func newMemory() *memory {
	return &memory{
		cents:  map[string]int64{"ada": 100, "bob": 0},
		commit: func(apply func()) error { apply(); return nil },
	}
}

// Connect implements [driver.Connector].
func (m *memory) Connect(context.Context) (driver.Conn, error) { return &session{memory: m}, nil }

// Driver implements [driver.Connector].
func (m *memory) Driver() driver.Driver { return nil }

// session is one connection to the database, and its transaction.
type session struct {
	memory  *memory
	changes map[string]int64
}

// ExecContext implements [driver.ExecerContext].
func (s *session) ExecContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Result, error) {
	cents, name := args[0].Value.(int64), args[1].Value.(string)
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	has, known := s.memory.cents[name]
	if !known || has+s.changes[name]+cents < 0 {
		return driver.RowsAffected(0), nil
	}
	s.changes[name] += cents
	return driver.RowsAffected(1), nil
}

// Begin implements [driver.Conn].
func (s *session) Begin() (driver.Tx, error) {
	s.changes = map[string]int64{}
	return s, nil
}

// Commit implements [driver.Tx].
func (s *session) Commit() error {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.memory.commit(func() {
		for name, cents := range s.changes {
			s.memory.cents[name] += cents
		}
	})
}

// Rollback implements [driver.Tx].
func (s *session) Rollback() error { s.changes = nil; return nil }

// Prepare implements [driver.Conn].
func (s *session) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not prepared") }

// Close implements [driver.Conn].
func (s *session) Close() error { return nil }
