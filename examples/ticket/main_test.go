package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask POSTs for a ticket to a path.
func ask(t *testing.T, srv *wstest.Server, password, path string) (status int, ticket string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+"/ticket", strings.NewReader("path="+path))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("ada", password)
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Ticket string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer.Ticket
}

// TestTicket is good once, soon, and for its path.
func TestTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, engine, err := newApp("open sesame")
		if err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, engine)
		if status, ticket := ask(t, srv, "a guess", "/board"); status != 401 || ticket != "" {
			t.Errorf("a wrong password: %d %q", status, ticket)
		}
		refused := func(name, ticket string) {
			t.Helper()
			if got := wstest.Refused(t, srv, "/board?ticket="+ticket); got.Status != 401 || got.Problem.Reason != "invalid_ticket" {
				t.Errorf("%s: %d %q", name, got.Status, got.Problem.Reason)
			}
		}
		_, ticket := ask(t, srv, "open sesame", "/board")
		c := wstest.Dial[string, string](t, srv, "/board?ticket="+ticket)
		if got := c.Receive(); got != "welcome, ada" {
			t.Errorf("got %q", got)
		}
		c.Closed()
		refused("a second use", ticket)
		_, ticket = ask(t, srv, "open sesame", "/other")
		refused("another path", ticket)
		_, ticket = ask(t, srv, "open sesame", "/board")
		time.Sleep(31 * time.Second)
		refused("a late one", ticket)
	})
}
