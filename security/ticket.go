package security

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"example.com/usher/depends"
)

const (
	ticketTTL       = 30 * time.Second
	ticketChallenge = "Ticket"
	maxTickets      = 100_000
	maxTicketBody   = 4 << 10
)

// Tickets authenticates with tickets: secrets for one use, within 30 seconds,
// for one path and one Origin. A page that is signed in POSTs to [Tickets.Handler]
// and connects with ?ticket=…, so that what stands in the URL is worth nothing by
// the time somebody reads it in a log, and so that a refusal is an ordinary HTTP
// response that the page can read.
//
// With it goes whose connection that is, and until when, if the scheme that the page is
// signed in with says so: the connection ends when the token would have, or at the exp of
// the claims that the ticket is given for, and a revocation of the token
// (wsroute.Router.Revoke) is one of the ticket.
//
// What it is given for is provided as a T. Without a Store that is the value itself: T may be any
// type, and what the value points to is shared with the code that it came from. With a Store the
// value is encoded as JSON. Then a field in T that is not exported, or stands beside an embedded
// one which encodes itself, is a wiring fault, a field that is tagged json:"-" is left out, and no ticket is issued for a value whose JSON cannot be decoded, or
// differs once it was decoded and encoded again. A type with methods that encode and decode it,
// its own or those of an embedded field, is trusted.
//
// A ticket that is unknown, used, expired, or for another path or Origin is refused with the same
// 401 "invalid_ticket". A diagnosing GET spends none.
//
// Make one with &Tickets[T]{}; it must not be copied, and is safe for concurrent use.
type Tickets[T any] struct {
	// Store keeps tickets between the POST and the handshake: a shared one, if
	// several processes serve them. It must be set before Use. By default, this process's memory.
	Store TicketStore
	// TTL is how long a ticket is good. By default, 30 seconds.
	TTL time.Duration

	memory memoryTickets[T]
}

// TicketStore keeps tickets by the hash of their secret. Both methods must be
// safe for concurrent use.
type TicketStore interface {
	// Put keeps a ticket until it expires.
	Put(ctx context.Context, hash string, ticket []byte, expires time.Time) error
	// Take returns a ticket and, if spend is true, removes it in the same step, so
	// that of two takers one gets it. It returns depends.ErrAbsent if there is none.
	Take(ctx context.Context, hash string, spend bool) ([]byte, error)
}

// ticket is what a Store or this process's memory holds.
type ticket[T any] struct {
	For     T                `json:"for"`
	Who     depends.Identity `json:"who,omitzero"`
	Until   time.Time        `json:"until,omitzero"`
	Path    string           `json:"path"`
	Origin  string           `json:"origin"`
	Expires time.Time        `json:"expires"`
}

// Describe implements [Scheme].
func (t *Tickets[T]) Describe() depends.Scheme {
	var f faults
	f.addIf(t.TTL < 0 || t.TTL > 5*time.Minute, "Tickets has a TTL of "+t.TTL.String(),
		"a ticket is used at once: 30 s is plenty, 5 min the most")
	if t.Store != nil {
		field := lostField(reflect.TypeFor[T](), map[reflect.Type]bool{})
		f.addIf(field != "", "Tickets has a Store, and JSON would leave out the field "+field,
			`export it and embed nothing that encodes itself, or tag it json:"-"`)
	}
	return depends.Scheme{
		Name: "Ticket", Sources: []depends.Source{QueryToken("ticket")},
		Challenge: ticketChallenge, Faults: f,
	}
}

func (t *Tickets[T]) derived() {}

// Authenticate implements [Scheme].
func (t *Tickets[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	var none T
	found, err := t.take(ctx, hashOf(c.Value), !c.Diagnosing())
	if err != nil {
		return unknown(none, err, ticketChallenge, "invalid_ticket")
	}
	r := c.Request()
	origin := r.Header.Get("Origin")
	if c.Diagnosing() && origin == "" {
		origin = found.Origin // a page's fetch of its own server sends none
	}
	// A page may have escaped the path, as its location has it.
	here := found.Path == r.URL.Path || found.Path == r.URL.EscapedPath()
	if !here || found.Origin != origin || !time.Now().Before(found.Expires) {
		return unknown(none, depends.ErrAbsent, ticketChallenge, "invalid_ticket")
	}
	exp := identify(ctx, &found.For)
	depends.Identify(ctx, found.Who) // principal may know more than the claims
	depends.ValidUntil(ctx, found.Until)
	depends.ValidUntil(ctx, exp) // without leeway: principal may have shortened it
	return found.For, nil
}

// Handler gives tickets to those whom principal knows, usually by [Authenticate]:
//
//	POST /ticket   {"path":"/ws/rooms/lobby"}
//	200            {"ticket":"…","expires_in":30}
//
// The path may come as JSON or as a form. An error of principal or of the Store is answered as
// its *depends.Rejection says. Any other is answered with 500 and logged by slog.Default.
func (t *Tickets[T]) Handler(principal func(*http.Request) (T, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := t.give(w, r, principal); err != nil {
			var rejection *depends.Rejection
			if !errors.As(err, &rejection) {
				slog.ErrorContext(r.Context(), "security: no ticket was issued", "error", err)
				rejection = &depends.Rejection{Status: http.StatusInternalServerError, Reason: "internal_error"}
			}
			rejection.ServeHTTP(w, r)
		}
	})
}

func (t *Tickets[T]) give(
	w http.ResponseWriter, r *http.Request, principal func(*http.Request) (T, error),
) error {
	if r.Method != http.MethodPost {
		return &depends.Rejection{
			Status: http.StatusMethodNotAllowed, Reason: "method_not_allowed",
			Header: http.Header{"Allow": {http.MethodPost}},
		}
	}
	began := time.Now()
	ctx, said := depends.Observe(r.Context())
	r = r.WithContext(ctx) // one request for both, as a form is parsed once
	value, err := principal(r)
	if err != nil {
		return err
	}
	who, until := said()
	if who.Since.IsZero() {
		who.Since = began
	}
	path, err := wantedPath(w, r)
	if err != nil {
		return err
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	text := base64.RawURLEncoding.EncodeToString(secret[:])
	ttl := cmp.Or(t.TTL, ticketTTL)
	expires := time.Now().Add(ttl).Round(0) // by the wall clock, also after a machine has slept
	issued := ticket[T]{value, who, until, path, r.Header.Get("Origin"), expires}
	if err := t.put(r.Context(), hashOf(text), issued); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(map[string]any{"ticket": text, "expires_in": int(ttl.Seconds())})
}

// wantedPath returns the path that a ticket is asked for.
func wantedPath(w http.ResponseWriter, r *http.Request) (string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxTicketBody)
	var body struct {
		Path string `json:"path"`
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		body.Path = r.PostFormValue("path")
	} else if raw, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(raw, &body) != nil {
		return "", &depends.Rejection{
			Status: http.StatusBadRequest, Reason: "invalid_body",
			Detail: "the body is not a JSON object with a path",
		}
	}
	if !strings.HasPrefix(body.Path, "/") {
		return "", &depends.Rejection{
			Status: http.StatusUnprocessableEntity, Reason: "invalid_parameters",
			Params: []depends.ParamError{{Loc: []string{"body", "path"}, Code: "missing"}},
		}
	}
	return body.Path, nil
}

// put stores a ticket by the hash of its secret.
func (t *Tickets[T]) put(ctx context.Context, hash string, issued ticket[T]) error {
	if t.Store == nil {
		return t.memory.put(hash, issued)
	}
	raw, err := encodeTicket(issued)
	if err != nil {
		return err
	}
	return t.Store.Put(ctx, hash, raw, issued.Expires)
}

// take returns a ticket and, if spend is true, removes it. It may have expired.
func (t *Tickets[T]) take(ctx context.Context, hash string, spend bool) (ticket[T], error) {
	if t.Store == nil {
		return t.memory.take(hash, spend)
	}
	var found ticket[T]
	raw, err := t.Store.Take(ctx, hash, spend)
	if err == nil && json.Unmarshal(raw, &found) != nil {
		err = errors.New("security: the ticket store returned something else than a ticket")
	}
	return found, err
}

func hashOf(secret string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(secret))) }

// memoryTickets holds tickets in memory. Expired ones are removed when new ones come.
type memoryTickets[T any] struct {
	mu      sync.Mutex
	tickets map[string]ticket[T] // by the hash of their secret
	sweep   time.Time            // when expired ones are removed next
}

func (m *memoryTickets[T]) put(hash string, issued ticket[T]) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.After(m.sweep) || len(m.tickets) >= maxTickets {
		maps.DeleteFunc(m.tickets, func(_ string, old ticket[T]) bool { return !now.Before(old.Expires) })
		m.sweep = now.Add(ticketTTL)
	}
	if len(m.tickets) >= maxTickets {
		return depends.Unavailable(ticketTTL, errors.New("security: too many tickets are unused"))
	}
	if m.tickets == nil {
		m.tickets = map[string]ticket[T]{}
	}
	m.tickets[hash] = issued
	return nil
}

func (m *memoryTickets[T]) take(hash string, spend bool) (ticket[T], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.tickets[hash]
	if !ok {
		return found, depends.ErrAbsent
	}
	if spend {
		delete(m.tickets, hash)
	}
	return found, nil
}
