package asyncapi_test

import (
	"strings"
	"testing"
)

// TestGo compares the client of a program with a route of each kind with the one that is compiled
// and used in internal/roomclient.
func TestGo(t *testing.T) {
	var out strings.Builder
	if err := described(t, room()).Go(&out, "roomclient"); err != nil {
		t.Fatal(err)
	}
	golden(t, "internal/roomclient/client.go", out.String())
	if err := described(t, room()).Go(&out, "Room-Client"); err == nil {
		t.Error("a bad name of a package has no error")
	}
}
