package depends

import (
	"reflect"
	"time"

	"example.com/usher/internal/graph"
)

// Live is a field of a handler's input that always reads the current T: the one of
// the handshake, and once its credential was renewed (wsroute.Renewable) or its
// provider ran again ([Revalidate]), the new one. A plain T never changes while its
// handler runs.
//
// The values of a connection change together: a handler that has read one new value
// reads no old one afterwards. A value that was replaced is released when the handler
// calls Receive again, or at once if it has no message in its hands, so call Get for
// each message.
//
// A Live[Optional[T]] is for what may come and go; an Optional[Live[T]] does not start.
type Live[T any] struct{ get func() any }

// Get returns the current value, for any goroutine. The zero Live has the zero T.
func (l Live[T]) Get() T {
	if l.get == nil {
		var none T
		return none
	}
	return *l.get().(*T)
}

func (Live[T]) live() reflect.Type     { return reflect.TypeFor[T]() }
func (l *Live[T]) bind(get func() any) { l.get = get }

type revalidateOption time.Duration

func (o revalidateOption) provide(p *graph.Provider) { p.Revalidate = time.Duration(o) }

// Revalidate runs a provider again while the connection is open, every interval
// give or take a tenth: for a ban list, or a role that a database knows. An error
// closes the connection with what it says, as a rejection's code; otherwise what
// depends on the value is made again too, and [Live] fields read it. The provider
// is bounded by wsroute.Config.ResolveTimeout.
//
// A value is released when the next one has taken its place and the handler has done with
// its message (see [Live]), but for the first, which a handler may hold. The provider must
// have the Connection lifetime.
func Revalidate(interval time.Duration) ProvideOption { return revalidateOption(interval) }
