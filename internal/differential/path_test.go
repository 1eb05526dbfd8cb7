package differential

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// The routes of paths, and what their handlers answer.
type (
	roomPath struct {
		Room string `path:"room"`
	}
	seatPath struct {
		Room string `path:"room"`
		Seat string `path:"seat"`
	}
	restPath struct {
		Rest string `path:"rest"`
	}
)

func (in roomPath) String() string { return fmt.Sprintf("room %+q", in.Room) }
func (in seatPath) String() string { return fmt.Sprintf("room %+q, seat %+q", in.Room, in.Seat) }
func (in restPath) String() string { return fmt.Sprintf("rest %+q", in.Rest) }

// answerPath is a socket that says what its input is.
func answerPath[In fmt.Stringer](ctx context.Context, conn *textSocket, in In) error {
	return conn.Send(ctx, in.String())
}

func addPaths(ws *wsroute.Router) *wsroute.Router {
	wsroute.Handle(ws, "/usher/rooms/:room", answerPath[roomPath], wsroute.Public)
	wsroute.Handle(ws, "/usher/rooms/:room/seats/:seat", answerPath[seatPath], wsroute.Public)
	wsroute.Handle(ws, "/usher/files/*rest", answerPath[restPath], wsroute.Public)
	return ws
}

// ginPaths are the same routes of gin's own. Its parameter for the rest of a path has the
// slash before it, which is no part of the rest.
func ginPaths(engine *gin.Engine) {
	answer := func(in func(c *gin.Context) fmt.Stringer) gin.HandlerFunc {
		return func(c *gin.Context) { c.String(http.StatusOK, "%s", in(c)) }
	}
	routes := engine.Group("/reference")
	routes.GET("/rooms/:room", answer(func(c *gin.Context) fmt.Stringer { return roomPath{c.Param("room")} }))
	routes.GET("/rooms/:room/seats/:seat", answer(func(c *gin.Context) fmt.Stringer {
		return seatPath{c.Param("room"), c.Param("seat")}
	}))
	routes.GET("/files/*rest", answer(func(c *gin.Context) fmt.Stringer {
		return restPath{strings.TrimPrefix(c.Param("rest"), "/")}
	}))
}

// muxPaths are the same routes of net/http's.
func muxPaths(mux *http.ServeMux) {
	answer := func(in func(r *http.Request) fmt.Stringer) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, in(r)) }
	}
	mux.HandleFunc("GET /reference/rooms/{room}", answer(func(r *http.Request) fmt.Stringer {
		return roomPath{r.PathValue("room")}
	}))
	mux.HandleFunc("GET /reference/rooms/{room}/seats/{seat}", answer(func(r *http.Request) fmt.Stringer {
		return seatPath{r.PathValue("room"), r.PathValue("seat")}
	}))
	mux.HandleFunc("GET /reference/files/{rest...}", answer(func(r *http.Request) fmt.Stringer {
		return restPath{r.PathValue("rest")}
	}))
}

// askedPath is a path below the prefix of usher or the reference, as it was sent.
type askedPath struct {
	on      string // "gin", "net/http", or "net/http beside gin"
	raw     string
	decoded string
}

func (a askedPath) String() string { return a.on + " " + a.raw }

// pathAnswer is a value, or the status of a refusal. A redirect is none for a WebSocket.
func pathAnswer(r reply) string {
	if r.status/100 == 3 {
		return "404"
	}
	text, _, _ := strings.Cut(r.String(), " not_found")
	return text
}

func pathDifferences() *differences[askedPath] {
	return namedDifferences(
		difference[askedPath]{
			name: "a path that is not clean or has an escaped slash is no route",
			page: "docs/gin.md", words: "or has an escaped slash is 404",
			usher: func(a askedPath) (string, bool) {
				clean := strings.TrimSuffix(a.decoded, "/")
				escaped := strings.Contains(strings.ToUpper(a.raw), "%2F")
				return "404", path.Clean(a.decoded) != clean || escaped
			},
		},
		difference[askedPath]{
			name: "text that is not UTF-8 is refused",
			page: "docs/declaring.md", words: "text is UTF-8",
			usher: func(a askedPath) (string, bool) { return "422 utf8", !utf8.ValidString(a.decoded) },
		},
	)
}

// paths are below a route's prefix.
var paths = []string{
	"/rooms/lobby", "/rooms/", "/rooms", "/rooms//", "/rooms/lobby/", "/rooms//lobby",
	"//rooms/lobby", "/rooms/a%20b", "/rooms/a+b", "/rooms/a%2Bb",
	"/rooms/a%2Fb", "/rooms/%2F", "/rooms/%2f%2F", "/rooms/a%252Fb", "/rooms/%C3%A9",
	"/rooms/\u00e9", "/rooms/%ff", "/rooms/a%00b", "/rooms/%0a", "/rooms/..", "/rooms/.",
	"/rooms/...",
	"/rooms/%2e%2e", "/rooms/%2E", "/rooms/../files/x", "/rooms/%2e%2e/files/x", "/rooms/a/../b",
	"/rooms/:room", "/rooms/*rest", "/rooms/a;b=c", "/rooms/a=b", "/rooms/a,b",
	"/rooms/a%3Fb", "/rooms/a%23b", "/rooms/a#b", "/rooms/%", "/rooms/%zz", "/rooms/a%5Cb",
	"/rooms/a\\b", "/rooms/a|b", "/rooms/\"a\"", "/rooms/a%22b", "/rooms/a'b(c)", "/rooms/~a!$&*@",
	"/ROOMS/lobby", "/rooms/Lobby", "/room", "/rooms/lobby/seats/1", "/rooms/lobby/seats/",
	"/rooms/lobby/seats", "/rooms//seats/1", "/rooms/lobby/seats/1/", "/rooms/lobby/seats/1/2",
	"/rooms/a%2Fseats%2F1", "/rooms/a/seats%2F1", "/rooms/lobby/SEATS/1",
	"/rooms/seats/seats/seats", "/rooms/%20/seats/%20", "/rooms/a/seats/..", "/rooms/../seats/a",
	"/rooms/lobby%2Fseats/1",
	"/files/a", "/files/a/b", "/files/", "/files", "/files//", "/files//a", "/files/a//b",
	"/files/a/", "/files/a/../b", "/files/../a", "/files/..", "/files/a/.", "/files/a%2Fb",
	"/files/%2Fa",
	"/files/%2F", "/files/a%20b/c+d", "/files/%C3%A9/\u00e9", "/files/%ff/a", "/files/a/%2e%2e/b",
	"/files/a/%2E/b", "/files/./a", "/files/...", "/files/.../a", "/files/a/b/c/d/e/f/g",
	"/files/a%3Fb/c",
	"", "/", "//", "/x", "/rooms/lobby?x=/y", "/rooms/a%2", "/rooms/" + "%F0%9F%98%80",
}

// FuzzPath: the parameters of a path are what the router below would make of them.
func FuzzPath(f *testing.F) {
	for i, raw := range paths {
		if !fuzzing() || i%2 == 0 {
			f.Add(raw)
		}
	}
	onGin, engine := addPaths(wsroute.New(depends.New(), config())), newEngine()
	ginPaths(engine)
	if err := onGin.Mount(engine); err != nil {
		f.Fatal(err)
	}
	plainHTTP, mux := addPaths(wsroute.New(depends.New(), config())), http.NewServeMux()
	muxPaths(mux)
	routes, err := plainHTTP.Handler()
	if err != nil {
		f.Fatal(err)
	}
	below := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(referenceHeader, "1")
		if strings.HasPrefix(r.URL.Path, "/reference") {
			mux.ServeHTTP(w, r)
		} else {
			routes.ServeHTTP(w, r)
		}
	})
	servers := map[string]*wstest.Server{
		"gin":      wstest.StartHandler(f, onGin, engine),
		"net/http": wstest.StartHandler(f, plainHTTP, below),
	}
	known := pathDifferences()
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.ContainsAny(raw, " \r\n") {
			t.Skip("the request line would end")
		}
		u, err := url.ParseRequestURI("/usher" + raw)
		if err != nil {
			t.Skip("net/http refuses it")
		}
		decoded, ushers := strings.TrimPrefix(u.Path, "/usher"), map[string]string{}
		for _, on := range []string{"gin", "net/http"} {
			c := connect(t, servers[on])
			reference := c.ask("GET /reference"+raw, plain)
			if !reference.fromReference() {
				t.Skip("net/http refuses it")
			}
			ushers[on] = pathAnswer(c.ask("GET /usher"+raw, handshake))
			known.compare(t, askedPath{on, raw, decoded}, ushers[on], pathAnswer(reference))
		}
		known.compare(t, askedPath{"net/http beside gin", raw, decoded}, ushers["net/http"], ushers["gin"])
	})
	known.check(f)
}
