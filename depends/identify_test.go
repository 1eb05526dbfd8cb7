package depends_test

import (
	"context"
	"testing"
	"time"

	"example.com/usher/depends"
)

// TestObserve: what a scheme says outside of a connection is there to be read.
func TestObserve(t *testing.T) {
	ctx, said := depends.Observe(t.Context())
	depends.Identify(ctx, depends.Identity{Issuer: "i", Subject: "ada"})
	depends.Identify(ctx, depends.Identity{Session: "s"})
	soon := time.Unix(1_800_000_000, 0)
	depends.ValidUntil(ctx, soon.Add(time.Hour))
	depends.ValidUntil(ctx, soon)
	depends.ValidUntil(ctx, time.Time{}) // as of a credential without an expiry
	if who, until := said(); who != (depends.Identity{Issuer: "i", Subject: "ada", Session: "s"}) || !until.Equal(soon) {
		t.Errorf("got %+v until %v", who, until)
	}
	depends.Identify(context.Background(), depends.Identity{Subject: "nobody"}) // goes nowhere
}
