// Package security has the schemes that authenticate a connection.
//
// A scheme is a value that a program gives to [Use] once. From then on it is the
// provider of a type. A handler whose input has a field of that type gets it, or
// the connection is refused before the upgrade:
//
//	type Claims struct {
//		Name string `json:"name"`
//		jwt.RegisteredClaims
//	}
//
//	deps := depends.New()
//	security.Use(deps, security.JWT[Claims]{
//		Keys:     []security.Key{security.HS256(secret)},
//		Issuer:   "https://login.example",
//		Audience: "chat",
//	})
//
//	type joinInput struct {
//		Claims Claims // a good token, or no connection
//	}
//
// Schemes run before every other provider and read nothing but the handshake
// request, so that a stranger learns that a credential is required, and no more. The
// resolver finds the credential in the scheme's sources, gives it to the scheme
// alone, and removes it from the request that everything else sees. A request
// without a credential is refused with 401 and the scheme's challenge, one with
// several credentials with 400.
//
// # Tokens
//
// [JWT] accepts a signed token (RFC 7519) by the rules of RFC 8725. A key has one
// algorithm, fixed by the function that made it: [HS256], [HS384], [HS512],
// [RS256], [ES256] or [EdDSA]. The token's header chooses among the keys, and does
// nothing else: it cannot contain a key, name a URL to fetch one from, or turn a
// public key into a secret. The claims exp, iss, aud and sub are required, nbf and
// iat are optional, all are checked, and then Claims.Validate, if there is one. Settings
// accept tokens without one of them: InsecureNoExpiry, InsecureAnyIssuer,
// InsecureAnyAudience and OptionalSubject. Issuers and Audiences accept several.
//
// Also refused are a token of more than 8 KiB; a header with crit or b64; a typ
// other than JWT or at+jwt; a member that is there twice, or two whose names differ
// only by case, since readers disagree which of them counts; a registered claim of
// another type than that of RFC 7519; dates outside the years 1970 to 9999; text that
// is not UTF-8; and any encoding of its parts but base64url (RFC 7515 §2) without
// padding.
//
// # Refusals
//
// The response to every bad token is the same:
//
//	HTTP/1.1 401 Unauthorized
//	WWW-Authenticate: Bearer error="invalid_token"
//
// The reason is in the log, and visible to errors.Is: jwt.ErrTokenExpired, for
// example, if and only if the signature is good.
//
//	401 invalid_token: token is expired
//
// No error contains a token or a key. A [Key] prints as its algorithm and ID, and
// hides its secret from every printer, encoder and logger.
//
// # Configuration that does not start
//
// An unsafe configuration is a wiring fault at Mount, with the field to set:
//
//	JWT[main.Claims] names no Issuer
//	  hint: set Issuer to the iss of your tokens, or InsecureAnyIssuer: true to accept tokens whoever their iss names
//
// So are a missing or weak key, a missing Audience, a Leeway of more than five
// minutes, a claims type that cannot hold the registered claims or has a check that nothing
// calls, and an alternative of [OneOf] that would never be asked.
//
// # Where the token is
//
// By default a token is in the header Authorization ([BearerHeader]), which browsers
// cannot set for a WebSocket. For them, begin with [QueryToken]:
//
//	Sources: []depends.Source{security.BearerHeader(), security.QueryToken("token")},
//
// usher removes the parameter from the request that everything else sees. A proxy in
// front of usher may still log it, so such tokens should expire within minutes.
//
// # Rotating keys
//
// Give keys IDs, and tokens the same as their kid. Add the new key before the
// issuer uses it, and remove the old one when its last token has expired:
//
//	Keys: []security.Key{
//		security.RS256(november).WithID("2026-11"),
//		security.RS256(december).WithID("2026-12"),
//	},
//
// # Look-ups
//
// [APIKey], [Opaque], [Basic] and [Session] ask a function of the program. It returns
// depends.ErrAbsent for nobody. The zero value without an error is what a map has for an
// unknown key: it is a 500, unless AllowZero says that it is meant.
//
// # Schemes of your own
//
// Every type with the two methods of [Scheme] is a scheme; the package's example has
// an API key in a header. Further checks of a token belong in a provider that takes the
// claims: a handler with a field of type Subscriber cannot forget the check.
//
//	type subscriberInput struct {
//		Claims Claims
//		Store  *Store
//	}
//
//	func subscriber(ctx context.Context, in subscriberInput) (Subscriber, error)
package security
