// Command shared-providers has one currentUser for a WebSocket and for plain HTTP: members of
// the room get what somebody POSTs, or says in the room itself.
//
//	go run ./examples/shared-providers
//
// It prints a key. With it, POST {"text":"hi"} to http://127.0.0.1:8080/notices, and
// listen at ws://127.0.0.1:8080/ws; the key stands in the header X-Key.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is the owner of a key.
type User struct{ Name string }

// Notice is a message to everybody in the room.
type Notice struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// Room is where notices go.
type Room = wsroute.Room[Notice]

// listen sends a user the notices of the room, and takes the user's own.
func listen(ctx context.Context, conn *wsroute.Conn[string, Notice], in struct {
	User User
	Room *Room
},
) error {
	defer in.Room.Join(conn)()
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := in.Room.Send(ctx, Notice{in.User.Name, text}); err != nil {
			return err
		}
	}
}

type postInput struct {
	User User
	Room *Room
}

// post does the same for a program that has no socket.
func post(w http.ResponseWriter, r *http.Request, in postInput) error {
	var notice Notice
	body := http.MaxBytesReader(w, r.Body, 4<<10)
	if err := json.NewDecoder(body).Decode(&notice); err != nil {
		return &depends.Rejection{Status: http.StatusBadRequest, Reason: "invalid_json", Err: err}
	}
	notice.From = in.User.Name
	if err := in.Room.Send(r.Context(), notice); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(notice)
}

func newApp(key string) (*wsroute.Router, *gin.Engine, error) {
	deps := depends.New()
	depends.Supply(deps, &Room{})
	security.Use(deps, security.APIKey[User]{
		Sources: []depends.Source{security.Header("X-Key")},
		Find: func(_ context.Context, hash [sha256.Size]byte) (User, error) {
			if hash == sha256.Sum256([]byte(key)) {
				return User{"ada"}, nil
			}
			return User{}, depends.ErrAbsent
		},
	})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/ws", listen)
	wsroute.HandleHTTP(ws, http.MethodPost, "/notices", post)

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	return ws, engine, ws.Mount(engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	key := rand.Text()
	ws, engine, err := newApp(key)
	if err == nil {
		fmt.Println(key)
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
