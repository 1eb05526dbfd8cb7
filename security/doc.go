/*
Package security holds the schemes by which a connection shows who it is.

A scheme is a value that is written down once, given to [Use], and from then on
is the provider of a type. A handler that asks for that type gets it, or the
connection is refused before the upgrade:

	type Claims struct {
		Name string `json:"name"`
		jwt.RegisteredClaims
	}

	deps := depends.New()
	security.Use(deps, security.JWT[Claims]{
		Keys:     []security.Key{security.HS256(secret)},
		Issuer:   "https://login.example",
		Audience: "chat",
	})

	type joinInput struct {
		Claims Claims // a good token, or no connection
	}

Schemes run before every other provider and read nothing but the handshake
request, so that a stranger learns that a credential is wanted, and no more. The
resolver finds the credential in the scheme's sources, hands it to the scheme
alone, and takes it out of the request that everything else sees. None at all is
a 401 with the scheme's challenge, more than one a 400.

# Tokens

[JWT] accepts a signed token (RFC 7519) by the rules of RFC 8725. A key has one
algorithm, fixed by the function that made it: [HS256], [HS384], [HS512],
[RS256], [ES256] or [EdDSA]. The token's header can choose among the keys, and
nothing else: it cannot bring a key along, name a place to fetch one from, or
turn a public key into a secret. The claims exp, iss, aud and sub must be there,
nbf and iat may be, all are checked, and Claims.Validate, if there is one, has
the last word.

Not accepted are also: a token of more than 8 KiB; a header with crit or b64; a
typ other than JWT or at+jwt; the same member twice, or names that differ only
by case, since readers disagree which of them counts; a registered claim of a
type that RFC 7519 does not give it; dates outside the years 1970 to 9999; and
any spelling of its parts but the one in base64url (RFC 7515 §2), without padding.

# Refusals

Whatever is wrong with a token, the peer is told the same:

	HTTP/1.1 401 Unauthorized
	WWW-Authenticate: Bearer error="invalid_token"

The reason is in the log, and visible to errors.Is: jwt.ErrTokenExpired, say, if
and only if the signature is good.

	401 invalid_token: token is expired

Tokens and keys appear in no error. A [Key] prints as its algorithm and ID, and
hides its secret from every printer, encoder and logger.

# Configuration that does not start

A scheme whose configuration is not safe is a wiring fault at Mount, with the
field to set:

	JWT[main.Claims] names no Issuer
	  hint: set Issuer to the iss of your tokens, or InsecureAnyIssuer: true to accept tokens whoever their iss names

So are a missing or weak key, a missing Audience, a Leeway of more than five
minutes, and claims that cannot hold what a token says.

# Where the token stands

By default a token is looked for in the header ([BearerHeader]), which browsers
cannot set for a WebSocket. For them, begin with [QueryToken]:

	Sources: []depends.Source{security.BearerHeader(), security.QueryToken("token")},

usher takes the parameter out of what everybody sees; what stands in front of
usher may still log it, so that such tokens should live for minutes.

# Rotating keys

Give keys IDs, and tokens the same as their kid. Add the new key before the
issuer uses it, and remove the old one when its last token has expired:

	Keys: []security.Key{
		security.RS256(november).WithID("2026-11"),
		security.RS256(december).WithID("2026-12"),
	},

# Schemes of your own

Anything with the two methods of [Scheme] is one; the package's example has an
API key in a header. Further checks on a token are better placed in a provider
that takes the claims: a type is a proof, and a handler that asks for a Subscriber
cannot forget the check that makes one.

	type subscriberInput struct {
		Claims Claims
		Store  *Store
	}

	func subscriber(ctx context.Context, in subscriberInput) (Subscriber, error)
*/
package security
