package main

import (
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

// start is a server on loopback, which therefore sees its clients come from 127.0.0.1.
func start(t *testing.T, s settings) *wstest.Server {
	t.Helper()
	return wstest.StartLoopback(t, newRouter(s))
}

// TestTheProxyIsBelieved, and what its client has written before it is not.
func TestTheProxyIsBelieved(t *testing.T) {
	srv := start(t, settings{proxies: []string{"127.0.0.1", "10.0.0.0/8"}})
	for forwarded, want := range map[string]string{
		"203.0.113.7":               "203.0.113.7",
		"198.51.100.1, 203.0.113.7": "203.0.113.7", // the first is the client's own word
		"203.0.113.7, 10.1.2.3":     "203.0.113.7", // the second is a proxy of ours
	} {
		peer := wstest.Dial[string, string](t, srv, "/ws/address",
			wstest.Header("X-Forwarded-For", forwarded), wstest.Header("X-Forwarded-Proto", "https"))
		if got := peer.Receive(); got != want {
			t.Errorf("X-Forwarded-For: %s: the client is %s, want %s", forwarded, got, want)
		}
		peer.Closed()
	}
}

// TestNobodyElseIs: without the flag a header is but a header.
func TestNobodyElseIs(t *testing.T) {
	srv := start(t, settings{})
	got := wstest.Refused(t, srv, "/ws/address", wstest.Header("X-Forwarded-Proto", "https"))
	if got.Status != 403 || got.Problem.Reason != "tls_required" {
		t.Errorf("TLS by a stranger's word: %d %s", got.Status, got.Problem.Reason)
	}
}

func TestOrigins(t *testing.T) {
	srv := start(t, settings{proxies: []string{"127.0.0.1"}, origins: []string{"https://chat.example"}})
	peer := wstest.Dial[string, string](t, srv, "/ws/address",
		wstest.Header("Origin", "https://chat.example"), wstest.Header("X-Forwarded-Proto", "https"))
	if got := peer.Receive(); got != "127.0.0.1" {
		t.Errorf("without a word of the proxy, the client is %s", got)
	}
	peer.Closed()
	got := wstest.Refused(t, srv, "/ws/address", wstest.Header("Origin", "https://evil.example"), wstest.Header("X-Forwarded-Proto", "https"))
	if got.Status != 403 || got.Problem.Reason != "origin_not_allowed" {
		t.Errorf("a stranger's page: %d %s", got.Status, got.Problem.Reason)
	}
}

// TestAnAddressThatIsNone is found before anything is served.
func TestAnAddressThatIsNone(t *testing.T) {
	var proxies list
	if err := proxies.Set("127.0.0.1,proxy.internal"); err != nil || proxies.String() != "127.0.0.1,proxy.internal" {
		t.Fatal(err, proxies)
	}
	err := newRouter(settings{proxies: proxies}).Mount(gin.New())
	if err == nil || !strings.Contains(err.Error(), `"proxy.internal" is neither an IP address nor a CIDR prefix`) {
		t.Errorf("Mount: %v", err)
	}
}
