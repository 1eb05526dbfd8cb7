package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

// TestOverTLS: a client that trusts the certificate is served.
func TestOverTLS(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	model := httptest.NewTLSServer(http.NotFoundHandler()) // it has a certificate, and a client that trusts it
	defer model.Close()
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- serve(ctx, "127.0.0.1:0", "https://chat.example", model.TLS.Certificates[0], listening)
	}()
	addr := <-listening
	trust := model.Client().Transport.(*http.Transport).TLSClientConfig
	// A browser offers HTTP/2 as well; what is chosen must be HTTP/1.1.
	trust.NextProtos = []string{"h2", "http/1.1"}
	dialer := websocket.Dialer{TLSClientConfig: trust}
	conn, answer, err := dialer.Dial("wss://"+addr+"/hello", http.Header{"Origin": {"https://chat.example"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	defer func() { _ = conn.Close() }()
	if _, got, err := conn.ReadMessage(); err != nil || string(got) != "hello" {
		t.Errorf("got %s, %v", got, err)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the end is %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestWithoutTLS: the same routes on a plain socket refuse.
func TestWithoutTLS(t *testing.T) {
	srv := wstest.Start(t, newRouter("https://chat.example"))
	if r := wstest.Refused(t, srv, "/hello"); r.Status != 403 || r.Problem.Reason != "tls_required" {
		t.Errorf("got %d %s", r.Status, r.Problem.Reason)
	}
	var certificate tls.Certificate // none
	if err := serve(t.Context(), "nowhere", "https://chat.example", certificate, nil); err == nil {
		t.Error("it listens nowhere")
	}
}
