package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// script is a Say of some size as a frame, and the Said that answers it. Both have a
// number in them, so that no two messages are the same.
type script struct {
	say, said  []byte
	at, saidAt int // of the number
}

const digits = 8

func newScript(size int) (*script, error) { return newScriptWith(size, "", "") }

// newScriptWith has members of an envelope before those of the messages.
func newScriptWith(size int, sayMembers, saidMembers string) (*script, error) {
	const empty = `{"text":""}`
	text := strings.Repeat("0", digits) + strings.Repeat("x", size-digits-len(sayMembers)-len(empty))
	payload, err := json.Marshal(Say{text})
	if err != nil {
		return nil, err
	}
	said, err := json.Marshal(Said{"alice", text})
	payload = slices.Insert(payload, 1, []byte(sayMembers)...)
	said = slices.Insert(said, 1, []byte(saidMembers)...)
	s := &script{say: frame(opText, payload), said: said, saidAt: bytes.Index(said, []byte(text))}
	s.at = len(s.say) - len(payload) + bytes.Index(payload, []byte(text))
	return s, err
}

// turn makes it the message of a number.
func (s *script) turn(number int) {
	for i := digits - 1; i >= 0; i-- {
		before, now := s.said[s.saidAt+i], byte('0'+number%10)
		s.said[s.saidAt+i] = now
		s.say[s.at+i] ^= before ^ now // it is masked
		number /= 10
	}
}

// talker is an open connection, what it says, and what it must be told.
type talker struct {
	conn        net.Conn
	r           *bufio.Reader
	buf         []byte
	says, hears *script // apart, since one may do both at once
	said, heard int
}

func openTalker(p *process, path string, size int) (*talker, error) {
	a := asks(p.token)[0]
	a.path = path
	say, said := "", ""
	if strings.HasPrefix(path, channelPath) {
		say, said = `"type":"say","ref":7,`, `"type":"said","ref":7,`
	}
	says, err := newScriptWith(size, say, said)
	if err != nil {
		return nil, err
	}
	hears, err := newScriptWith(size, say, said)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(nil)
	conn, err := a.open(p.addr, r)
	if err != nil {
		return nil, err
	}
	return &talker{conn: conn, r: r, says: says, hears: hears}, nil
}

// say sends the next message.
func (t *talker) say() error {
	t.says.turn(t.said)
	t.said++
	_, err := t.conn.Write(t.says.say)
	return err
}

// hear reads a message, which must be the next one.
func (t *talker) hear() error {
	op, got, err := readFrame(t.r, t.buf)
	if err != nil {
		return err
	}
	t.buf = got
	t.hears.turn(t.heard)
	t.heard++
	if op != opText || !bytes.Equal(got, t.hears.said) {
		return fmt.Errorf("heard %d %.80q, want %.80q", op, got, t.hears.said)
	}
	return nil
}

func (t *talker) echo(times int) error {
	if err := t.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for range times {
		if err := t.say(); err != nil {
			return err
		}
		if err := t.hear(); err != nil {
			return err
		}
	}
	return nil
}

// content sees to it that talkers were told no more than they have heard.
func content(p *process, all []*talker) error {
	for _, t := range all {
		if n := t.r.Buffered(); n > 0 {
			return fmt.Errorf("%s: %d more bytes than were asked for", p.name, n)
		}
		if err := waits(t.conn); err != nil {
			return fmt.Errorf("%s: a member %w", p.name, err)
		}
	}
	return nil
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
	all, err := startAll(names, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.stop()) }()
	return all.echo(s.book.row(fmt.Sprintf("echo/%d-B", size), "µs", goalEcho), roomPath+"lobby", size, s.messages)
}

// echo adds to a row what a message there and back costs each server.
func (e ensemble) echo(row *row, path string, size, messages int) (err error) {
	const talkers = 8
	groups := map[*process][]*talker{}
	for _, p := range e {
		for range talkers {
			t, err := openTalker(p, path, size)
			if err != nil {
				return err
			}
			defer t.conn.Close()
			groups[p] = append(groups[p], t)
		}
	}
	err = e.inTurn(row, messages, func(p *process, n int) error {
		return spread(talkers, talkers, func(i int, _ *bufio.Reader) error {
			return groups[p][i].echo(n / talkers)
		})
	})
	for p, group := range groups {
		err = errors.Join(err, content(p, group))
	}
	return err
}

// broadcasts measure what one says to many, for each who is told.
func (s *suite) broadcasts() error {
	if s.receivers == 0 {
		return nil
	}
	count, err := s.possible(s.receivers)
	if err != nil {
		return err
	}
	for round := range s.rounds {
		s.progress("one to %d, round %d of %d", count, round+1, s.rounds)
		for _, name := range s.names(round) {
			if err := s.broadcastRound(name, count); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) broadcastRound(name string, count int) (err error) {
	const times = 50
	p, err := start(name, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	members := make([]*talker, count)
	for i := range members {
		if members[i], err = openTalker(p, hallPath+"lobby", 64); err != nil {
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
	if err := tellAll(members, times/5); err != nil { // it warms up
		return fmt.Errorf("%s: %w", p.name, err)
	}
	micros, err := p.spent(func() error { return tellAll(members, times) })
	if err == nil {
		err = content(p, members)
	}
	if err == nil {
		s.book.row(fmt.Sprintf("broadcast/%d", count), "µs", noGoal).add(p.name, micros/float64(times*count))
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
func tellAll(members []*talker, times int) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			for range times {
				if errs[i] = m.hear(); errs[i] != nil {
					return
				}
			}
		})
	}
	var err error
	for i := 0; i < times && err == nil; i++ {
		err = members[0].say()
	}
	wg.Wait()
	return firstOf(append(errs, err))
}
