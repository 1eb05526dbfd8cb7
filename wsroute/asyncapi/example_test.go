package asyncapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.com/usher/wsroute/asyncapi"
	"example.com/usher/wsroute/asyncapi/internal/roomclient"
)

// A program, or a test of it, writes the clients for other repos.
func Example() {
	ws := room()
	if _, err := ws.Handler(); err != nil {
		fmt.Println(err)
	}
	doc, err := asyncapi.Describe(ws, asyncapi.Info{Title: "Rooms", Version: "1.4.0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	var inGo, inTypeScript strings.Builder
	if err := errors.Join(doc.Go(&inGo, "roomclient"), doc.TypeScript(&inTypeScript)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(strings.Contains(inGo.String(), "func DialRoom("))
	fmt.Println(strings.Contains(inTypeScript.String(), "export function connectRoom("))
	// Output:
	// true
	// true
}

// This is what a program does with the client in Go.
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
