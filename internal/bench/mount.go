package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// part is one of many dependencies, told apart by a name that is a type.
type part[Name any] struct{ weight int }

type (
	first struct{}
	n1    struct{}
	n2    struct{}
	n3    struct{}
	n4    struct{}
	n5    struct{}
	n6    struct{}
	n7    struct{}
	n8    struct{}
	n9    struct{}
	n10   struct{}
	n11   struct{}
	n12   struct{}
	n13   struct{}
	n14   struct{}
	n15   struct{}
	n16   struct{}
	n17   struct{}
	n18   struct{}
	n19   struct{}
)

// chained provides one part from another.
func chained[Name, Before any](deps *depends.Graph) {
	type input struct{ Before part[Before] }
	depends.Provide(deps, func(_ context.Context, in input) (part[Name], error) {
		return part[Name]{in.Before.weight + 1}, nil
	})
}

// twenty provides a chain of so many parts.
func twenty() *depends.Graph {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, struct{}) (part[first], error) { return part[first]{1}, nil })
	for _, provide := range []func(*depends.Graph){
		chained[n1, first], chained[n2, n1], chained[n3, n2], chained[n4, n3], chained[n5, n4], chained[n6, n5],
		chained[n7, n6], chained[n8, n7], chained[n9, n8], chained[n10, n9], chained[n11, n10], chained[n12, n11],
		chained[n13, n12], chained[n14, n13], chained[n15, n14], chained[n16, n15], chained[n17, n16],
		chained[n18, n17], chained[n19, n18],
	} {
		provide(deps)
	}
	return deps
}

type mountInput struct {
	Last  part[n19] // and with it the other nineteen
	Room  string    `path:"room" validate:"alphanum,max=64"`
	Since int       `query:"since" default:"0" validate:"gte=0"`
}

// mount registers routes that need twenty dependencies each, mounts them, and
// writes how many milliseconds both took.
func mount(routes int, stdout io.Writer) error {
	begin := time.Now()
	ws := wsroute.New(twenty(), &wsroute.Config{Logger: newLogger()})
	handler := func(context.Context, *wsroute.Conn[Say, Said], mountInput) error { return nil }
	for i := range routes {
		wsroute.Handle(ws, fmt.Sprintf("/route%d/:room", i), handler, wsroute.Public)
	}
	if err := ws.Mount(gin.New()); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(reply{Millis: float64(time.Since(begin).Microseconds()) / 1000})
}

// timeMount runs mount in a process of its own, as a program that starts.
func timeMount(routes int) (millis float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, "mount", fmt.Sprint(routes))
	cmd.Env = append(os.Environ(), asServer+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("mount: %w", err)
	}
	var r reply
	err = json.Unmarshal(out, &r)
	return r.Millis, err
}
