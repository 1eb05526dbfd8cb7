package main

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

const (
	api  = "localhost:8080"
	page = "http://localhost:5173"
	evil = "http://localhost:6666"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal collects what several goroutines log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "remote" {
			return slog.Attr{}
		}
		return a
	}}))
}

func serve(t *testing.T, j *journal, origins ...string) *wstest.Server {
	t.Helper()
	ws, engine, err := newApp(origins, j.logger())
	if err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, ws, engine)
}

type answer struct {
	StatusCode int
	Header     http.Header
}

// ask makes a request of a page, as the browser sends it.
func ask(t *testing.T, srv *wstest.Server, method, path, origin string, header map[string]string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+api+path, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", origin)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return answer{response.StatusCode, response.Header}
}

// dial connects as the page of an origin.
func dial(srv *wstest.Server, host, origin, cookie string) (status int, err error) {
	dialer := &websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) }}
	header := http.Header{"Origin": {origin}}
	if cookie != "" {
		header.Set("Cookie", cookie)
	}
	conn, response, err := dialer.Dial("ws://"+host+"/hello", header)
	if response == nil {
		return 0, err
	}
	_ = response.Body.Close()
	if err == nil {
		_ = conn.Close()
	}
	return response.StatusCode, nil
}

// TestAPageOfTheDevServer signs in, fetches and connects if its origin is listed.
func TestAPageOfTheDevServer(t *testing.T) {
	var j journal
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, &j, page)
		readable := func(r answer, origin string) bool {
			return r.Header.Get("Access-Control-Allow-Origin") == origin && r.Header.Get("Access-Control-Allow-Credentials") == "true"
		}
		preflight := map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
		for path, known := range map[string]int{"/login": 405, "/ticket": 405, "/me": 405, "/nothing": 404} {
			if r := ask(t, srv, http.MethodOptions, path, page, preflight); r.StatusCode != 204 || !readable(r, page) || r.Header.Get("Access-Control-Allow-Headers") != "content-type" {
				t.Errorf("preflight of %s: %d %v", path, r.StatusCode, r.Header)
			}
			if r := ask(t, srv, http.MethodOptions, path, evil, preflight); r.StatusCode != known || r.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("preflight of %s from a stranger: %d %v", path, r.StatusCode, r.Header)
			}
		}
		login := ask(t, srv, http.MethodPost, "/login", page, nil)
		cookie, _, _ := strings.Cut(login.Header.Get("Set-Cookie"), ";")
		if !readable(login, page) || cookie == "" {
			t.Fatalf("%v", login.Header)
		}
		with := map[string]string{"Cookie": cookie}
		for _, one := range []struct {
			method, path, origin string
			status               int
		}{
			{"GET", "/me", page, 200},
			{"POST", "/ticket", page, 422}, // no path is asked for
			{"POST", "/ticket", evil, 403},
		} {
			if r := ask(t, srv, one.method, one.path, one.origin, with); r.StatusCode != one.status || readable(r, one.origin) != (one.origin == page) {
				t.Errorf("%v: %d %v", one, r.StatusCode, r.Header)
			}
		}
		if r := ask(t, srv, "GET", "/me", page, nil); r.StatusCode != 401 || !readable(r, page) {
			t.Errorf("a refusal: %d %v", r.StatusCode, r.Header)
		}
		for origin, want := range map[string]int{page: 101, evil: 403, "http://localhost:8080": 403, "http://127.0.0.1:5173": 403} {
			if status, err := dial(srv, api, origin, cookie); status != want {
				t.Errorf("a page of %s: %d %v, want %d", origin, status, err, want)
			}
		}
		if status, err := dial(srv, api, page, ""); status != 401 {
			t.Errorf("without the cookie: %d %v", status, err)
		}
	})
}

// TestTheLogSaysWhatToAdd: the hint is the line for Config.
func TestTheLogSaysWhatToAdd(t *testing.T) {
	var j journal
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, &j)
		if status, err := dial(srv, api, page, "sid=x"); status != 403 {
			t.Errorf("%d %v", status, err)
		}
		srv.Stop()
	})
	if *update {
		if err := os.WriteFile("testdata/log.txt", j.text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/log.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), j.text.String()); diff != "" {
		t.Errorf("testdata/log.txt (-want +got):\n%s", diff)
	}
}

// TestBehindTheDevServer: a proxy that keeps the Host needs no list; one that changes it does,
// unless it is trusted and says what the Host was, or changes the Origin, too.
func TestBehindTheDevServer(t *testing.T) {
	for _, one := range []struct {
		name    string
		rewrite func(*httputil.ProxyRequest)
		origins []string
		status  int
	}{
		{"the Host is kept", func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }, nil, 401},
		{"the Host is the target's", func(r *httputil.ProxyRequest) { r.Out.Host = api }, nil, 403},
		{"the Host is the target's, and the page is listed", func(r *httputil.ProxyRequest) { r.Out.Host = api }, []string{page}, 401},
		{"the Origin is the target's, too", func(r *httputil.ProxyRequest) {
			r.Out.Host = api
			r.Out.Header.Set("Origin", "http://"+api)
		}, nil, 401},
	} {
		t.Run(one.name, func(t *testing.T) {
			var j journal
			synctest.Test(t, func(t *testing.T) {
				srv := serve(t, &j, one.origins...)
				transport := &http.Transport{
					DisableKeepAlives: true,
					DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) },
				}
				proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
					r.SetURL(&url.URL{Scheme: "http", Host: api})
					one.rewrite(r)
				}}
				ws, _, err := newApp(nil, j.logger())
				if err != nil {
					t.Fatal(err)
				}
				dev := wstest.StartHandler(t, ws, proxy)
				if status, err := dial(dev, "localhost:5173", page, "sid=x"); status != one.status {
					t.Errorf("got %d %v, want %d\n%s", status, err, one.status, j.text.String())
				}
			})
		})
	}
}
