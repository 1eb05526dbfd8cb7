package wsroute_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestTheRestOfAPathHasNoSlashBeforeIt, on gin as on net/http, whose routers differ in this.
func TestTheRestOfAPathHasNoSlashBeforeIt(t *testing.T) {
	type in struct {
		First string `path:"first"`
		Rest  string `path:"rest"`
	}
	serve := map[string]func(ws *wsroute.Router) *wstest.Server{
		"net/http": func(ws *wsroute.Router) *wstest.Server { return wstest.Start(t, ws) },
		"gin": func(ws *wsroute.Router) *wstest.Server {
			engine := gin.New()
			if err := ws.Mount(engine); err != nil {
				t.Fatal(err)
			}
			return wstest.StartHandler(t, ws, engine)
		},
	}
	for name, start := range serve {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/:first/*rest", func(ctx context.Context, conn *wsroute.Conn[string, string], in in) error {
			return conn.Send(ctx, in.First+" "+in.Rest)
		}, wsroute.Public)
		srv := start(ws)
		for path, want := range map[string]string{
			"/files/a": "files a", "/files/a/b/c.txt": "files a/b/c.txt", "/files/a/": "files a/", "/files/": "files ",
		} {
			if got := wstest.Dial[string, string](t, srv, path).Receive(); got != want {
				t.Errorf("%s: %s: got %q, want %q", name, path, got, want)
			}
		}
	}
}

// TestTheWordsOfABool are those of FastAPI, in any case.
func TestTheWordsOfABool(t *testing.T) {
	type in struct {
		On bool `query:"on"`
	}
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in in) error {
		return conn.Send(ctx, fmt.Sprint(in.On))
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for want, words := range map[string][]string{
		"true":  {"1", "true", "t", "yes", "y", "on", "TRUE", "T", "Y", "oN"},
		"false": {"0", "false", "f", "no", "n", "off", "FALSE", "F", "N", "oFF"},
	} {
		for _, word := range words {
			if got := wstest.Dial[string, string](t, srv, "/?on="+word).Receive(); got != want {
				t.Errorf("%s: got %s, want %s", word, got, want)
			}
		}
	}
	for _, word := range []string{"", "2", "ja", "tr", "ye", "-1", "%20true", "%E2%84%AA"} {
		if r := wstest.Refused(t, srv, "/?on="+word); r.Status != 422 || r.Problem.Errors[0].Code != "bool" {
			t.Errorf("%q: got %d %+v", word, r.Status, r.Problem)
		}
	}
}
