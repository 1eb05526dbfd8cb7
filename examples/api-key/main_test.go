package main

import (
	"crypto/sha256"
	"testing"

	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestKey: the key lets a device in, and its messages are checked.
func TestKey(t *testing.T) {
	srv := wstest.Start(t, newRouter(Devices{sha256.Sum256([]byte("k")): {"boiler"}}))
	c := wstest.Dial[Sample, Ack](t, srv, "/metrics", wstest.Header("X-API-Key", "k"))
	for count := 1; count < 3; count++ {
		c.Send(Sample{"heat", 21})
		if got := c.Receive(); got != (Ack{"boiler", "heat", count}) {
			t.Errorf("got %v", got)
		}
	}
	c.Send(Sample{Value: 1})
	if closed := c.Closed(); closed.Code != 1008 {
		t.Errorf("a sample of nothing closes with %v", closed)
	}
	if got := wstest.Refused(t, srv, "/metrics", wstest.Header("X-API-Key", "other")); got.Status != 401 || got.Problem.Reason != "invalid_key" {
		t.Errorf("another key: %d %q", got.Status, got.Problem.Reason)
	}
	if got := wstest.Refused(t, srv, "/metrics?X-API-Key=k"); got.Status != 401 || got.Header.Get("WWW-Authenticate") != "ApiKey" {
		t.Errorf("the key in the query: %d %q", got.Status, got.Header.Get("WWW-Authenticate"))
	}
}
