package wsroute_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// said is what the members of these rooms are told.
type said struct {
	From string `json:"from"`
	N    int    `json:"n"`
}

// hall serves a room that everybody joins; what a member says is told to all.
func hall(t *testing.T, room *wsroute.Room[said], config *wsroute.Config) (*wsroute.Router, *wstest.Server) {
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		Name string `query:"name"`
	},
	) (member, error) {
		depends.Identify(ctx, depends.Identity{Subject: in.Name})
		return member{in.Name}, nil
	})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[int, said], in struct{ Who member }) error {
		leave := room.Join(conn)
		room.Join(conn) // once more changes nothing
		defer leave()
		for {
			n, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			if err := room.Send(t.Context(), said{in.Who.name, n}); err != nil {
				return err
			}
		}
	}, wsroute.Public)
	return ws, wstest.Start(t, ws)
}

// TestRoomSendsToAllInOneOrder, whoever speaks at the same time.
func TestRoomSendsToAllInOneOrder(t *testing.T) {
	const members, each = 8, 50
	config := quiet()
	config.Limits.SendMessages = 2 * members * each // nobody reads until all is said
	var room wsroute.Room[said]
	_, srv := hall(t, &room, config)
	var all [members]*wstest.Peer[int, said]
	for i := range all {
		all[i] = wstest.Dial[int, said](t, srv, "/?name="+fmt.Sprint(i))
	}
	for room.Len() < members {
		all[0].Send(-1) // until the last has joined
		all[0].Receive()
	}
	var speaking sync.WaitGroup
	for _, c := range all {
		speaking.Go(func() {
			for n := range each {
				c.Send(n)
			}
		})
	}
	speaking.Wait()
	var first []said
	for i, c := range all {
		var got []said
		for len(got) < members*each {
			if s := c.Receive(); s.N >= 0 {
				got = append(got, s)
			}
		}
		if i == 0 {
			first = got
		}
		for k := range got {
			if got[k] != first[k] {
				t.Fatalf("member %d got %v where member 0 got %v", i, got[k], first[k])
			}
		}
	}
}

// TestRoomDropsMembersThatEnd, whichever end it is.
func TestRoomDropsMembersThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room wsroute.Room[said]
		ws, srv := hall(t, &room, quiet())
		dial := func(name string) *wstest.Peer[int, said] {
			c := wstest.Dial[int, said](t, srv, "/?name="+name)
			synctest.Wait()
			return c
		}
		leaves, lost, _ := dial("leaves"), dial("lost"), dial("revoked")
		stays := dial("stays")
		if room.Len() != 4 {
			t.Errorf("%d are here", room.Len())
		}
		if _, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "revoked"}); err != nil || room.Len() != 3 {
			t.Errorf("%d are here after the revocation, %v", room.Len(), err)
		}
		leaves.Close(1000, "")
		_ = lost.WebSocket.Close()
		synctest.Wait()
		if room.Len() != 1 {
			t.Errorf("%d are here", room.Len())
		}
		stays.Send(7)
		if got := stays.Receive(); got != (said{"stays", 7}) {
			t.Errorf("got %v", got)
		}
	})
}

// TestRoomDoesNotWaitForASlowMember: a member that does not read is closed, and the others get
// their messages meanwhile.
func TestRoomDoesNotWaitForASlowMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet()
		config.Limits.SendMessages = 16
		var room wsroute.Room[said]
		_, srv := hall(t, &room, config)
		slow := wstest.Dial[int, said](t, srv, "/?name=slow")
		fast := wstest.Dial[int, said](t, srv, "/?name=fast")
		synctest.Wait()
		start := time.Now()
		for n := 0; room.Len() == 2; n++ {
			fast.Send(n)
			if got := fast.Receive(); got.N != n {
				t.Fatalf("got %v", got)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("somebody waited for %v", d)
		}
		if got := slow.Closed(); got.Code != 1013 || got.Reason != "slow_reader" {
			t.Errorf("got %v", got)
		}
	})
}

// TestRoomSendTo asks who the members are, for each message.
func TestRoomSendTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room wsroute.Room[said]
		_, srv := hall(t, &room, quiet())
		ada := wstest.Dial[int, said](t, srv, "/?name=ada")
		bob := wstest.Dial[int, said](t, srv, "/?name=bob")
		synctest.Wait()
		isAda := func(who depends.Identity) bool { return who.Subject == "ada" }
		if err := room.SendTo(t.Context(), said{"server", 1}, isAda); err != nil {
			t.Error(err)
		}
		if err := room.Send(t.Context(), said{"server", 2}); err != nil {
			t.Error(err)
		}
		if a, b := ada.Receive(), ada.Receive(); a.N != 1 || b.N != 2 {
			t.Errorf("ada got %v, %v", a, b)
		}
		if got := bob.Receive(); got.N != 2 {
			t.Errorf("bob got %v", got)
		}
	})
}

func TestRoomMessageThatDoesNotEncode(t *testing.T) {
	var room wsroute.Room[string]
	if err := room.Send(t.Context(), "\xff"); err == nil {
		t.Error("text that is not UTF-8 was sent")
	}
}
