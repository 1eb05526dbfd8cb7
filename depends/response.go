package depends

import (
	"context"
	"net/http"

	"example.com/usher/internal/graph"
)

// ResponseHeader returns the header of the answer to the request that a provider or a scheme
// resolves for: of the 101, and of what a handler of wsroute.HandleHTTP answers. It begins
// with what middleware has set, and may be changed, such as by a cookie for a session that
// was renewed:
//
//	cookie := http.Cookie{Name: "sid", Value: id, Secure: true, HttpOnly: true}
//	depends.ResponseHeader(ctx).Add("Set-Cookie", cookie.String())
//
// A refusal of a provider has none of it, but a header of its own, [Rejection].Header. The
// headers of the protocol, such as Connection, Sec-WebSocket-Accept or Content-Length, are
// refused with 500, and so is a name that is no token.
//
// ctx is the one that the provider was called with. The header is used by one goroutine at a
// time, and until the provider returns. Outside of a request that is being resolved, nobody
// sees the header that is returned; in a unit test, wstest.Context shows what was set.
func ResponseHeader(ctx context.Context) http.Header { return graph.HeaderOf(ctx) }
