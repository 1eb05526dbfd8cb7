package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process is one of several.
type process struct {
	t      *testing.T
	router *wsroute.Router
	srv    *wstest.Server
}

func start(t *testing.T, shared *Shared) process {
	t.Helper()
	ws, engine, err := newProcess(shared, "k", wsroute.Config{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), MaxPerPrincipal: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return process{t, ws, wstest.StartHandler(t, ws, engine)}
}

// join returns a peer that is in the room.
func (p process) join() *wstest.Peer[string, Said] {
	p.t.Helper()
	peer := wstest.Dial[string, Said](p.t, p.srv, "/rooms/a", wstest.Header("X-Key", "k"))
	synctest.Wait() // until the handler has joined it
	return peer
}

// ticket asks for one.
func (p process) ticket() string {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.srv.Host+"/ticket", strings.NewReader("path=/rooms/a"))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Key", "k")
	response, err := p.srv.Client().Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Ticket string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Ticket == "" {
		p.t.Fatalf("%d %v", response.StatusCode, err)
	}
	return answer.Ticket
}

// TestWhatProcessesShare: each part works across processes that share a store and a broker, and
// ends at the process without them.
func TestWhatProcessesShare(t *testing.T) {
	for _, sharing := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			one := NewShared()
			other := one
			if !sharing {
				other = NewShared()
			}
			a, b := start(t, one), start(t, other)

			if ticket := a.ticket(); sharing {
				wstest.Dial[string, Said](t, b.srv, "/rooms/a?ticket="+ticket).Close(1000, "")
				synctest.Wait()
			} else if r := wstest.Refused(t, b.srv, "/rooms/a?ticket="+ticket); r.Problem.Reason != "invalid_ticket" {
				t.Errorf("a ticket of another process: %d %s", r.Status, r.Body)
			}

			atA, atB := a.join(), b.join() // each process counts for itself
			if r := wstest.Refused(t, a.srv, "/rooms/a", wstest.Header("X-Key", "k")); r.Problem.Reason != "too_many_of_principal" {
				t.Errorf("a second connection to one process: %d %s", r.Status, r.Body)
			}

			atA.Send("hi")
			if got := atA.Receive(); got != (Said{"ada", "hi"}) {
				t.Errorf("%v", got)
			}
			if sharing {
				if got := atB.Receive(); got != (Said{"ada", "hi"}) {
					t.Errorf("the other process hears %v", got)
				}
			}

			ended, err := a.router.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"})
			if ended != 1 || err != nil {
				t.Errorf("%d connections have ended, %v", ended, err)
			}
			if closed := atA.Closed(); closed.Code != 3000 {
				t.Errorf("closed with %v", closed)
			}
			if sharing {
				if closed := atB.Closed(); closed.Code != 3000 || closed.Reason != "revoked" {
					t.Errorf("at the other process: %v", closed)
				}
			} else {
				atB.Send("still here")
				if got := atB.Receive(); got != (Said{"ada", "still here"}) {
					t.Errorf("%v", got)
				}
			}
		})
	}
}

// TestAProcessThatStartsLater has not heard of a revocation: a ticket from before it opens a
// connection there.
func TestAProcessThatStartsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := NewShared()
		a, b := start(t, shared), start(t, shared)
		first, second := a.ticket(), a.ticket()
		time.Sleep(time.Second)
		if _, err := a.router.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		synctest.Wait() // until the other one has heard of it
		if r := wstest.Refused(t, b.srv, "/rooms/a?ticket="+first); r.Status != 401 {
			t.Errorf("a process that has heard of it: %d %s", r.Status, r.Body)
		}
		late := start(t, shared)
		wstest.Dial[string, Said](t, late.srv, "/rooms/a?ticket="+second).Close(1000, "")
	})
}

// TestARollingUpdate: the clients of a process that drains go to another one, and are members of
// the room again.
func TestARollingUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := NewShared()
		old := start(t, shared)
		c := old.join()
		next := start(t, shared)
		drained := make(chan wsroute.Drained)
		go func() {
			report, _ := old.router.Drain(t.Context())
			drained <- report
		}()
		if closed := c.Closed(); closed.Code != 1012 || closed.Reason != "server_restart" {
			t.Errorf("closed with %v", closed)
		}
		if report := <-drained; report != (wsroute.Drained{Clean: 1}) {
			t.Errorf("%+v", report)
		}
		r := wstest.Refused(t, old.srv, "/rooms/a", wstest.Header("X-Key", "k"))
		if r.Status != 503 || r.Problem.Reason != "draining" || r.Header.Get("Retry-After") == "" || old.router.Ready() || !next.router.Ready() {
			t.Errorf("%d %s %v", r.Status, r.Body, r.Header)
		}
		c = next.join()
		c.Send("back")
		if got := c.Receive(); got != (Said{"ada", "back"}) {
			t.Errorf("%v", got)
		}
	})
}
