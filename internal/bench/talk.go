package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// talker is an open connection, what it says, and what it must be told.
type talker struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

func openTalker(p *process, path string) (*talker, error) {
	a := asks(p.token)[0]
	a.path = path
	r := bufio.NewReader(nil)
	conn, err := a.open(p.addr, r)
	if err != nil {
		return nil, err
	}
	return &talker{conn: conn, r: r}, nil
}

// hear reads a message, which must be the one that is wanted.
func (t *talker) hear(want []byte) error {
	op, got, err := readFrame(t.r, t.buf)
	if err != nil {
		return err
	}
	t.buf = got
	if op != opText || !bytes.Equal(got, want) {
		return fmt.Errorf("heard %d %.80q, want %.80q", op, got, want)
	}
	return nil
}

func (t *talker) echo(say, want []byte, times int) error {
	if err := t.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for range times {
		if _, err := t.conn.Write(say); err != nil {
			return err
		}
		if err := t.hear(want); err != nil {
			return err
		}
	}
	return nil
}

// message returns a Say of a size as a frame, and the Said that answers it.
func message(size int) (say, said []byte, err error) {
	text := strings.Repeat("x", size-len(`{"text":""}`))
	payload, err := json.Marshal(Say{text})
	if err != nil {
		return nil, nil, err
	}
	said, err = json.Marshal(Said{"alice", text})
	return frame(opText, payload), said, err
}

// echoes measure one message there and one back, on connections that stay open.
func (s *suite) echoes() error {
	for _, size := range []int{64, 4 << 10} {
		for round := range s.rounds {
			s.progress("echo of %d B, round %d of %d", size, round+1, s.rounds)
			if err := s.echoRound(s.names(round), size); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) echoRound(names []string, size int) (err error) {
	const talkers = 8
	say, said, err := message(size)
	if err != nil {
		return err
	}
	all, err := startAll(names, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.stop()) }()
	groups := map[*process][]*talker{}
	for _, p := range all {
		for range talkers {
			t, err := openTalker(p, roomPath+"lobby")
			if err != nil {
				return err
			}
			defer t.conn.Close()
			groups[p] = append(groups[p], t)
		}
	}
	row := s.book.row(fmt.Sprintf("echo/%d-B", size), "µs", goalEcho)
	return all.inTurn(row, s.messages, func(p *process, n int) error {
		return spread(talkers, talkers, func(i int, _ *bufio.Reader) error {
			return groups[p][i].echo(say, said, n/talkers)
		})
	})
}

// broadcasts measure what one says to many, for each who is told.
func (s *suite) broadcasts() error {
	if s.receivers == 0 {
		return nil
	}
	for round := range s.rounds {
		s.progress("one to %d, round %d of %d", s.receivers, round+1, s.rounds)
		for _, name := range s.names(round) {
			if err := s.broadcastRound(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) broadcastRound(name string) (err error) {
	const times = 50
	say, said, err := message(64)
	if err != nil {
		return err
	}
	p, err := start(name, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	members := make([]*talker, s.receivers)
	for i := range members {
		if members[i], err = openTalker(p, hallPath+"lobby"); err != nil {
			return err
		}
		defer members[i].conn.Close()
		if err := members[i].conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
			return err
		}
	}
	if err := attended(p, len(members)); err != nil {
		return err
	}
	if err := tellAll(members, say, said, times/5); err != nil { // it warms up
		return fmt.Errorf("%s: %w", p.name, err)
	}
	micros, err := p.spent(func() error { return tellAll(members, say, said, times) })
	if err == nil {
		s.book.row(fmt.Sprintf("broadcast/%d", s.receivers), "µs", 0).add(p.name, micros/float64(times*s.receivers))
	}
	return err
}

// attended waits until so many have joined the halls of a server, which is after
// they were told 101.
func attended(p *process, members int) error {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		r, err := p.tell("members")
		if err != nil || r.Members == members {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %d of %d have joined", p.name, r.Members, members)
		}
	}
}

// tellAll lets the first member say something, and everybody hear it.
func tellAll(members []*talker, say, said []byte, times int) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			for range times {
				if errs[i] = m.hear(said); errs[i] != nil {
					return
				}
			}
		})
	}
	for range times {
		if _, err := members[0].conn.Write(say); err != nil {
			errs[0] = err
			break
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
