package wsroute_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// bodyLog is a writer as many middlewares have it, without Unwrap.
type bodyLog struct {
	gin.ResponseWriter
	body bytes.Buffer
}

func (w *bodyLog) Write(b []byte) (int, error) {
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

// answers returns a router with one plain route.
func answers(h http.HandlerFunc) *wsroute.Router {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.HandleHTTP(ws, http.MethodGet, "/", by(h))
	return ws
}

// brokenAnswer writes the first half of an answer.
func brokenAnswer(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "half")
	panic("oh")
}

// behindBodyLog mounts a router behind middleware.
func behindBodyLog(t *testing.T, ws *wsroute.Router, middleware ...gin.HandlerFunc) *gin.Engine {
	t.Helper()
	engine := gin.New()
	engine.Use(middleware...)
	engine.Use(func(c *gin.Context) { c.Writer = &bodyLog{ResponseWriter: c.Writer} })
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	return engine
}

// bodyOf returns the body of a complete answer.
func bodyOf(response *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// TestABrokenAnswerBehindAWriterWithoutUnwrap: it is cut off, unless somebody recovers net/http's
// own panic.
func TestABrokenAnswerBehindAWriterWithoutUnwrap(t *testing.T) {
	elsewhere := httptest.NewServer(behindBodyLog(t, answers(brokenAnswer)))
	defer elsewhere.Close()
	if body, err := bodyOf(elsewhere.Client().Get(elsewhere.URL)); err == nil {
		t.Errorf("net/http: got %q as a whole", body)
	}
}

// TestABrokenAnswerThatMiddlewareKeeps: middleware that records answers sees the panic.
func TestABrokenAnswerThatMiddlewareKeeps(t *testing.T) {
	ws := answers(brokenAnswer)
	routes, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	kept := "nothing"
	srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		routes.ServeHTTP(answer, r)
		kept = answer.Body.String()
	}))
	if body, err := bodyOf(srv.Client().Get("http://" + srv.Host + "/")); err == nil || kept != "nothing" {
		t.Errorf("got %q, and %q is kept", body, kept)
	}
}

// TestABrokenAnswerAfterATimeout: it cuts off no later request of the connection, whether its
// request was over before the handler began or later.
func TestABrokenAnswerAfterATimeout(t *testing.T) {
	for _, begun := range []bool{true, false} {
		goOn, over := make(chan bool), make(chan bool)
		ws := answers(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			if begun {
				<-goOn
			}
			panic("oh")
		})
		routes, err := ws.Handler()
		if err != nil {
			t.Fatal(err)
		}
		watched := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(over)
			if !begun {
				<-goOn
			}
			routes.ServeHTTP(w, r)
		})
		mux := http.NewServeMux()
		mux.Handle("/", http.TimeoutHandler(watched, 50*time.Millisecond, "late"))
		mux.HandleFunc("/next", func(w http.ResponseWriter, _ *http.Request) {
			close(goOn)
			<-over
			_, _ = io.WriteString(w, "whole")
		})
		conn, err := wstest.StartHandler(t, ws, mux).Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answers := bufio.NewReader(conn)
		if got := askOn(t, conn, answers, "/"); got != "late" {
			t.Errorf("begun %t: the first request: %q", begun, got)
		}
		if got := askOn(t, conn, answers, "/next"); got != "whole" {
			t.Errorf("begun %t: the next request of the connection: %q", begun, got)
		}
	}
}

// askOn asks for a path on a connection.
func askOn(t *testing.T, conn net.Conn, answers *bufio.Reader, path string) string {
	t.Helper()
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	body, err := bodyOf(http.ReadResponse(answers, nil))
	if err != nil {
		return err.Error()
	}
	return body
}

// TestABrokenAnswerInHTTP2: it ends no other request of its connection.
func TestABrokenAnswerInHTTP2(t *testing.T) {
	https := httptest.NewUnstartedServer(nil)
	https.EnableHTTP2 = true
	https.StartTLS()
	defer https.Close()
	ws := answers(brokenAnswer)
	began, goOn := make(chan bool), make(chan bool)
	engine := behindBodyLog(t, ws)
	engine.GET("/slow", func(c *gin.Context) {
		close(began)
		<-goOn
		c.String(http.StatusOK, c.Request.Proto)
	})
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	listener := tls.NewListener(plain, &tls.Config{Certificates: https.TLS.Certificates, NextProtos: []string{"h2"}})
	go func() { done <- wsroute.ServeListener(ctx, listener, ws, engine) }()
	client, slow := https.Client(), make(chan string)
	go func() {
		body, err := bodyOf(client.Get("https://" + plain.Addr().String() + "/slow"))
		slow <- fmt.Sprint(body, " ", err)
	}()
	<-began
	if body, err := bodyOf(client.Get("https://" + plain.Addr().String() + "/")); err == nil {
		t.Errorf("got %q as a whole", body)
	}
	close(goOn)
	if got := <-slow; got != "HTTP/2.0 <nil>" {
		t.Errorf("another request got %s", got)
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
