package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask makes a plain request.
func ask(t *testing.T, srv *wstest.Server, key, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+"/notices", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("X-Key", key)
	}
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

// TestOneUserForBoth: the socket hears what is posted, and both refuse alike.
func TestOneUserForBoth(t *testing.T) {
	ws, engine, err := newApp("k")
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	c := wstest.Dial[string, Notice](t, srv, "/ws", wstest.Header("X-Key", "k"))
	c.Send("hello")
	if got := c.Receive(); got != (Notice{"ada", "hello"}) {
		t.Errorf("the room heard %v", got)
	}
	if status, answer := ask(t, srv, "k", `{"from":"eve","text":"hi"}`); status != 200 || answer != `{"from":"ada","text":"hi"}` {
		t.Errorf("%d %s", status, answer)
	}
	if got := c.Receive(); got != (Notice{"ada", "hi"}) {
		t.Errorf("the room heard %v", got)
	}
	if status, answer := ask(t, srv, "k", `{`); status != 400 || !strings.Contains(answer, "invalid_json") {
		t.Errorf("%d %s", status, answer)
	}
	for _, key := range []string{"", "other"} {
		var header []wstest.Option
		if key != "" {
			header = append(header, wstest.Header("X-Key", key))
		}
		refused := wstest.Refused(t, srv, "/ws", header...)
		if status, answer := ask(t, srv, key, `{}`); status != 401 || refused.Status != 401 || answer != strings.TrimSpace(string(refused.Body)) {
			t.Errorf("%q: the request is answered %d %s, the handshake %d %s", key, status, answer, refused.Status, refused.Body)
		}
	}
}
