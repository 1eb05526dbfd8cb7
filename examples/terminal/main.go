//go:build unix

// Command terminal runs a program for each page that is open, such as a shell, and kills it
// when the page is closed or the connection is lost. A WebSocket is its input and its output:
// wsroute.NetConn makes a byte stream of the connection.
//
//	go run ./examples/terminal           # runs sh
//	go run ./examples/terminal bc -q     # or any other program
//
// It prints the address of the page, with a key. Who has the key can run anything that the
// program can: it serves 127.0.0.1 alone.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

//go:embed static
var static embed.FS

// Operator is who has the key.
type Operator struct{ Name string }

// operator looks a key up. The page shows it as a subprotocol, since a page can set no header.
func operator(key string) security.Scheme[Operator] {
	want := sha256.Sum256([]byte(key))
	return security.APIKey[Operator]{
		Sources: []depends.Source{security.SubprotocolToken("terminal")},
		Find: func(_ context.Context, hash [sha256.Size]byte) (Operator, error) {
			if subtle.ConstantTimeCompare(hash[:], want[:]) == 0 {
				return Operator{}, depends.ErrAbsent
			}
			return Operator{"operator"}, nil
		},
	}
}

// codeExited closes for a program that has failed.
const codeExited = 4000

// terminal returns a handler that runs a program.
func terminal(program []string) func(context.Context, *wsroute.Conn[[]byte, []byte], struct{}) error {
	return func(ctx context.Context, conn *wsroute.Conn[[]byte, []byte], _ struct{}) error {
		stream := wsroute.NetConn(ctx, conn)
		cmd := exec.CommandContext(ctx, program[0], program[1:]...) //nolint:gosec // it is what was asked for
		cmd.Stdout, cmd.Stderr = stream, stream
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // what it has started, too
		cmd.WaitDelay = time.Second
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() { // ends with the connection
			_, _ = io.Copy(stdin, stream)
			_ = stdin.Close()
		}()
		err = cmd.Run()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return conn.Close(codeExited, exit.Error())
		}
		return err
	}
}

func newApp(key string, program []string) (*wsroute.Router, *gin.Engine, error) {
	deps := depends.New()
	security.Use(deps, operator(key))
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/run", terminal(program), wsroute.Require[Operator]())

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, nil, err
	}
	pages := http.FileServerFS(files)
	for _, path := range []string{"/", "/app.js", "/style.css"} {
		engine.GET(path, func(c *gin.Context) {
			c.Header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
			pages.ServeHTTP(c.Writer, c.Request)
		})
	}
	return ws, engine, ws.Mount(engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	program := os.Args[1:]
	if len(program) == 0 {
		program = []string{"sh"}
	}
	key := rand.Text()
	ws, engine, err := newApp(key, program)
	if err == nil {
		fmt.Println("http://127.0.0.1:8080/#" + key) // what follows # is not sent to the server
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
