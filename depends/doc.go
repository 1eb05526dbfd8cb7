// Package depends declares what functions need, and resolves it.
//
// A function that needs something takes a struct whose fields say what:
//
//	type userInput struct {
//		Claims Claims // provided by security.JWT[Claims]
//		Users  *Store // supplied in main
//	}
//
//	func currentUser(ctx context.Context, in userInput) (User, error)
//
// [Provide] makes such a function the provider of its result's type, [Supply]
// registers a value that is there already, and every field of that type
// gets the value. Types are the only keys, and proofs: a function with an Admin knows
// that its provider has run. The routes of package wsroute have the same inputs.
//
// # Fields
//
//   - User User: the value of the provider of User.
//   - _ Admin: a guard; its provider must succeed, the value is not taken: one that says
//     no by a bool or an error, or is made before any request, does not start.
//   - User [Optional][User]: the value, unless it is absent.
//   - Room string `path:"room"`, or query, header, cookie: a request parameter.
//   - *http.Request: the handshake request, a copy without credentials or body.
//   - an embedded struct: its fields, as if they stood here.
//
// Other fields must be exported. The tag `depends:"fresh"` calls the provider
// again for this field; `depends:"handshake-only"` lets a Connection provider read
// a Handshake value while it resolves.
//
// # Parameters
//
// A parameter is a string, a bool, a number, a time.Time (RFC 3339), a
// time.Duration, an encoding.TextUnmarshaler, or a pointer to or a slice of one. It
// is required, unless it is a pointer (nil if absent), a slice, or has a default.
// A tag `validate:"gte=0"` has the rules of go-playground/validator but for those about
// other fields; one that would never be run, or always fails, does not start. A
// query parameter or cookie that is there twice is refused, of a header the first
// counts; a slice takes them all. A default is read anew for each connection. Bool
// reads 1, true, t, yes, y, on and their opposites.
//
// All parameters of a route are read and checked first. Their faults are answered
// together, as one 422, when the first provider that needs a bad one is reached: no
// peer passes a guard by a bad parameter, and a 401 comes before it.
//
// # Order, lifetimes, cleanup
//
// Schemes run first, then guards, the outermost first, then fields in order, depth
// first. A provider runs at most once in its [Lifetime], and the first error ends
// the resolution. A provider registers what must be released with [Cleanup].
//
// # Refusing
//
// A provider refuses by returning an error. A [Rejection] says what the
// peer gets; any other error is a 500 without details.
//
// # Wiring
//
// Nothing about the wiring is found out by a request: Mount checks the whole graph
// and returns every fault in one report, as [WiringError] values.
package depends
