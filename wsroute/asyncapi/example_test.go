package asyncapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"example.com/usher/wsroute/asyncapi/internal/roomclient"
)

// This is what a program does with it.
func Example_keep() {
	talk := func(ctx context.Context, token string, out io.Writer) error {
		dial := func(ctx context.Context) (*roomclient.Room, error) {
			return roomclient.DialRoom(ctx, "wss://chat.example.com", roomclient.RoomParams{Room: "lobby"}, roomclient.Options{
				Credential: func(context.Context, roomclient.Ask) (roomclient.Credential, error) {
					return roomclient.Credential{Value: token}, nil
				},
			})
		}
		return roomclient.Keep(ctx, dial, func(ctx context.Context, room *roomclient.Room) error {
			said, err := room.Say(ctx, roomclient.Say{Text: "hi"})
			if failed, ok := errors.AsType[*roomclient.Error](err); ok && failed.Reason == "muted" {
				return nil
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(out, said.Text)
			return err
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(talk(ctx, "…", io.Discard))
	// Output: context canceled
}
