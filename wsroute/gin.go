package wsroute

import (
	"reflect"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/plan"
)

// FromGin makes a dependency of what gin middleware left in its context, such as
// a session or a request id. Routes that need a T must be mounted on gin.
//
// read is called on the request's goroutine, after the Origin check and before
// any provider, if the route needs a T at all. It must neither keep the context,
// which gin recycles, nor write a response. Its error refuses the connection
// when the turn of T comes, as that of a provider would.
func FromGin[T any](deps *depends.Graph, read func(*gin.Context) (T, error)) {
	site := plan.Caller()
	if read == nil {
		panic("wsroute: FromGin of a nil function at " + site.String()) //nolint:forbidigo // a mistake of the program's own, with its place
	}
	plan.Of(deps).Register(&plan.Provider{
		Out:  reflect.TypeFor[T](),
		Func: plan.DescribeFunc(read),
		Site: site,
		Hand: func(from any) (reflect.Value, error) {
			value, err := read(from.(*gin.Context)) //nolint:forcetypeassert // Mount alone hands values over
			return reflect.ValueOf(&value).Elem(), err
		},
	})
}
