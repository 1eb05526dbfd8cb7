package wsroute_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// TestWhoWasRevokedSince: a principal that was known before a revocation is refused if the
// revocation means it, whatever else was revoked before and afterwards.
func TestWhoWasRevokedSince(t *testing.T) {
	ada := depends.Identity{Issuer: "https://id", Subject: "ada", Session: "s1", TokenID: "t1"}
	other := depends.Identity{Issuer: "https://id", Subject: "bob", Session: "s2", TokenID: "ada"}
	issued := func(d time.Duration) depends.Identity {
		who := ada
		who.IssuedAt = time.Now().Add(d)
		return who
	}
	type r = wsroute.Revocation
	for name, test := range map[string]struct {
		revoke func() []r
		who    func() depends.Identity
		means  bool
	}{
		"a token":                  {func() []r { return []r{{TokenID: "t1"}} }, nil, true},
		"another's name as token":  {func() []r { return []r{{Subject: "ada"}} }, func() depends.Identity { return other }, false},
		"a session":                {func() []r { return []r{{Session: "s1"}} }, nil, true},
		"a subject":                {func() []r { return []r{{Subject: "ada"}} }, nil, true},
		"a subject and its issuer": {func() []r { return []r{{Issuer: "https://id", Subject: "ada"}} }, nil, true},
		"another issuer":           {func() []r { return []r{{Issuer: "https://else", Subject: "ada"}} }, nil, false},
		"an issuer":                {func() []r { return []r{{Issuer: "https://id"}} }, nil, true},
		"a token of another":       {func() []r { return []r{{TokenID: "t1", Subject: "bob"}} }, nil, false},
		"everything":               {func() []r { return []r{{TokenID: "t1", Session: "s1", Subject: "ada", Issuer: "https://id"}} }, nil, true},
		"nobody's":                 {func() []r { return []r{{TokenID: "t9"}, {Session: "s9"}, {Subject: "eve"}, {Issuer: "x"}} }, nil, false},
		"a time":                   {func() []r { return []r{{IssuedBefore: time.Now()}} }, func() depends.Identity { return issued(-1) }, true},
		"a time before":            {func() []r { return []r{{IssuedBefore: time.Now().Add(-time.Hour)}} }, func() depends.Identity { return issued(-time.Minute) }, false},
		"then an earlier time": {
			func() []r { return []r{{Subject: "ada"}, {Subject: "ada", IssuedBefore: time.Now().Add(-time.Hour)}} },
			func() depends.Identity { return issued(-time.Minute) }, true,
		},
		"then a later time": {
			func() []r {
				return []r{{Subject: "ada", IssuedBefore: time.Now().Add(-time.Hour)}, {Subject: "ada", IssuedBefore: time.Now()}}
			},
			func() depends.Identity { return issued(-time.Minute) }, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws := identified(quiet(), nil, receiveAll)
				known, who := time.Now(), ada
				if test.who != nil {
					who = test.who()
				}
				time.Sleep(time.Second)
				for range 2 {
					for _, one := range test.revoke() {
						if _, err := ws.Revoke(t.Context(), one); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Second)
					}
				}
				for i := range 1000 {
					_, _ = ws.Revoke(t.Context(), r{Subject: fmt.Sprint("other", i)})
				}
				if got := wsroute.RevokedSince(ws, who, known); got != test.means {
					t.Errorf("known before: %v", got)
				}
				if wsroute.RevokedSince(ws, who, time.Now().Add(1)) {
					t.Error("known afterwards, it is revoked")
				}
				time.Sleep(5 * time.Minute)
				_, _ = ws.Revoke(t.Context(), r{Subject: "late"})
				if got := wsroute.RevokedSince(ws, who, known); got != test.means {
					t.Errorf("after 5 min: %v", got)
				}
			})
		})
	}
}

// TestManyRevocationsCostAHandshakeNothing: they are found by what they set, so that a ticket from
// before them is not compared with each; the limit of time is a hundred times what it takes.
func TestManyRevocationsCostAHandshakeNothing(t *testing.T) {
	ws := identified(quiet(), nil, receiveAll)
	known := time.Now()
	start := time.Now()
	for i := range 200_000 {
		_, _ = ws.Revoke(t.Context(), wsroute.Revocation{Issuer: "https://id", Subject: fmt.Sprint("user", i)})
	}
	revoking := time.Since(start)
	ada := depends.Identity{Issuer: "https://id", Subject: "ada", Session: "s1", TokenID: "t1"}
	start = time.Now()
	for range 5000 {
		if wsroute.RevokedSince(ws, ada, known) {
			t.Fatal("ada was not revoked")
		}
	}
	if asking := time.Since(start); revoking+asking > 20*time.Second {
		t.Errorf("%v to revoke, %v to ask", revoking, asking)
	} else {
		t.Logf("%v to revoke, %v to ask", revoking/200_000, asking/5000)
	}
	ada.Subject = "user0"
	if !wsroute.RevokedSince(ws, ada, known) {
		t.Error("the first one is forgotten")
	}
}

// TestRevocationsAreBoundedInNumber: of too many within minutes the oldest are forgotten, and who was known
// before those is refused, meant or not.
func TestRevocationsAreBoundedInNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := identified(quiet(), nil, receiveAll)
		first := time.Now()
		many := func(name string) (middle time.Time) {
			for i := range wsroute.MaxRevoked / 2 {
				if i == 1 {
					time.Sleep(time.Second)
					middle = time.Now()
					time.Sleep(time.Second)
				}
				_, _ = ws.Revoke(t.Context(), wsroute.Revocation{Subject: fmt.Sprint(name, i)})
			}
			return middle
		}
		ada, zero := depends.Identity{Subject: "ada"}, depends.Identity{Subject: "a0"}
		many("a")
		second := many("b")
		if wsroute.RevokedSince(ws, ada, first) || !wsroute.RevokedSince(ws, zero, first) {
			t.Error("something was forgotten below the bound")
		}
		many("c")
		if !wsroute.RevokedSince(ws, ada, first) || !wsroute.RevokedSince(ws, zero, first) {
			t.Error("somebody from before what was forgotten is let in")
		}
		if wsroute.RevokedSince(ws, ada, second) {
			t.Error("somebody from after what was forgotten is refused")
		}
		time.Sleep(10 * time.Minute)
		_, _ = ws.Revoke(t.Context(), wsroute.Revocation{Subject: "late"})
		if wsroute.RevokedSince(ws, ada, first) {
			t.Error("the refusal outlives every ticket")
		}
	})
}
