package security

import (
	"context"
	"fmt"
)

// Bounds are the defaults and limits of the schemes that are constants, as
// docs/configuration.md calls them.
var Bounds = map[string]any{
	"`Leeway`":           JWT[struct{}]{}.leeway(),
	"`Leeway`, at most":  maxLeeway,
	"size of a token":    fmt.Sprintf("%d KiB", maxToken>>10),
	"a secret for HS256": fmt.Sprintf("%d bytes", secretSize("HS256")),
	"a secret for HS384": fmt.Sprintf("%d bytes", secretSize("HS384")),
	"a secret for HS512": fmt.Sprintf("%d bytes", secretSize("HS512")),
	"an RSA key":         fmt.Sprintf("%d bits", minRSABits),
	"a `kid`":            fmt.Sprintf("%d bytes", maxKeyID),

	"members of a token's objects": maxMembers,

	"`Refresh`":                         (&JWKS{}).refresh(),
	"`Refresh`, at least":               jwksInterval,
	"a fetch":                           jwksTimeout,
	"size of a set":                     fmt.Sprintf("%d MiB", maxJWKS>>20),
	"keys of a set":                     maxKeys,
	"fetches for unknown keys, at once": jwksBurst,
	"and then one in":                   jwksInterval,
	"first wait after a failure":        jwksFirstRetry,
	"longest wait after failures":       jwksLastRetry,
	"tickets in memory":                 maxTickets,
	"body of a request for a ticket":    fmt.Sprintf("%d KiB", maxTicketBody>>10),
}

// KeepsTicketsInMemory says whether tickets without a Store are kept here.
func KeepsTicketsInMemory() bool {
	t := &Tickets[string]{}
	err := t.put(context.Background(), "hash", ticket[string]{For: "ann"})
	return err == nil && t.memory.tickets["hash"].For == "ann"
}

// KeepsNoConnection says whether the client of a JWKS that was given none opens a
// connection for each fetch.
var KeepsNoConnection = ownTransport.DisableKeepAlives
