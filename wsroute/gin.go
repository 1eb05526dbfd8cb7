package wsroute

import (
	"context"
	"reflect"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
)

// FromGin makes a dependency of what gin middleware left in its context, such as
// a session or a request id. Routes that need a T must be mounted on gin.
//
// read is called as a provider would be, on the request's goroutine and at most once, if the
// route needs a T at all. It must neither keep the context, which gin recycles, nor write a
// response. If T has a method Scopes() []string, [Scopes] and the tag scopes ask it as they ask
// the value of a scheme.
func FromGin[T any](deps *depends.Graph, read func(*gin.Context) (T, error)) {
	if read == nil {
		misuse("FromGin of a nil function")
	}
	graph.Of(deps).Register(&graph.Provider{
		Out:     reflect.TypeFor[T](),
		Func:    graph.DescribeFunc(read),
		Site:    graph.Caller(),
		Foreign: true,
		Granted: bind.Grants[T](),
		Invoke: func(_ context.Context, request, out any) (err error) {
			*out.(*T), err = read(request.(*bind.Request).Foreign.(*gin.Context))
			return err
		},
	})
}
