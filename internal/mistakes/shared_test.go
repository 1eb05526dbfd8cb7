package mistakes

import (
	"context"

	"example.com/usher/wsroute"
)

// What all programs of the page have in common.

type User struct{ Name string }

type Store struct{}

func (s *Store) Find(name string) (User, error) { return User{Name: name}, nil }

func openStore(context.Context, struct{}) (*Store, error) { return &Store{}, nil }

func currentUser(_ context.Context, in struct{ Store *Store }) (User, error) {
	return in.Store.Find("alice")
}

type conn = wsroute.Conn[string, string]

func greet(ctx context.Context, c *conn, in struct{ User User }) error {
	return c.Send(ctx, "hello "+in.User.Name)
}

// Notice is what is sent to members of a room, such as Left.
type Notice interface{ notice() }

type Left struct{}

func (Left) notice() {}
