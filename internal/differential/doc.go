// Package differential has tests alone: they ask usher and another implementation the same
// thing, and fail where the answers differ and no page of the docs names the difference.
//
// The references are gin's binding and net/url for queries, gin and net/http for paths,
// headers and cookies, golang-jwt and go-jose for tokens, and plain readings of the RFCs for
// Origins and lists of subprotocols. go-jose is the second reader of tokens because it shares
// no code with golang-jwt, down to a JSON decoder of its own that minds case and duplicates.
package differential
