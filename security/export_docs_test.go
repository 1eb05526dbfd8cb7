package security

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds are the defaults and limits of the schemes that are constants, as
// docs/configuration.md calls them.
var Bounds = map[string]any{
	"`Leeway`":           JWT[struct{}]{}.leeway(),
	"`Leeway`, at most":  maxLeeway,
	"size of a token":    fmt.Sprintf("%d KiB", maxToken>>10),
	"a secret for HS256": secretSize(HS256),
	"a secret for HS384": secretSize(HS384),
	"a secret for HS512": secretSize(HS512),
	"an RSA key":         fmt.Sprintf("%d bits", minRSABits),
	"a `kid`":            fmt.Sprintf("%d bytes", maxKeyID),

	"members of a token's objects": maxMembers,

	"`Refresh`":                      (&JWKS{}).refresh(),
	"`Refresh`, at least":            jwksInterval,
	"age limit of keys in an outage": fmt.Sprintf("%v h", jwksOutage.Hours()),
	"a fetch":                        jwksTimeout,
	"tokens with unknown keys that wait for one fetch": maxStrangers,
	"age at which a token waits for a fetch":           "2 × `Refresh`", // as TestAWithdrawnKey
	"size of a set":                                    fmt.Sprintf("%d MiB", maxJWKS>>20),
	"keys of a set":                                    maxKeys,
	"fetches for unknown keys, at once":                jwksBurst,
	"and then one in":                                  jwksInterval,
	"first wait after a failure":                       jwksFirstRetry,
	"longest wait after failures":                      jwksLastRetry,
	"tickets in memory":                                maxTickets,
	"tickets in memory of one principal":               ticketShare,
	"path of a ticket":                                 fmt.Sprintf("%d KiB", maxTicketPath>>10),
	"Origin of a ticket":                               fmt.Sprintf("%d bytes", maxTicketOrigin),
	"body of a request for a ticket":                   fmt.Sprintf("%d KiB", maxTicketBody>>10),
}

// secretSize is the least size of a secret, as the fault of a shorter one says it.
func secretSize(key func([]byte) Key) string {
	fact, _ := key([]byte("x")).weakness()
	_, least, _ := strings.Cut(fact, "asks for ")
	return least + " bytes"
}

// KeepsTicketsInMemory says whether tickets without a Store are kept here.
func KeepsTicketsInMemory() bool {
	t := &Tickets[string]{}
	issued := ticket[string]{For: "ann", Expires: time.Now().Add(time.Hour)}
	err := t.put(context.Background(), "hash", issued)
	found, _ := t.memory.take("hash", true)
	return err == nil && found.For == "ann"
}

// KeepsNoConnection reports whether a JWKS without a Client opens a connection for each fetch.
func KeepsNoConnection() bool {
	var closes atomic.Bool
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		closes.Store(r.Close)
	}))
	defer endpoint.Close()
	_, _, _ = (&JWKS{URL: endpoint.URL}).get()
	return closes.Load()
}
