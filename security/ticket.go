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
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

const (
	ticketTTL       = 30 * time.Second
	ticketChallenge = "Ticket"
	maxTicketBody   = 4 << 10
	maxTicketPath   = 2 << 10
	maxTicketOrigin = 512 // bytes; a name has 253 at most

	maxTickets  = 30_000           // in memory
	ticketShare = maxTickets / 100 // of a principal
)

// Tickets authenticates with tickets: secrets for one use, within 30 seconds,
// for one path and one Origin. A page that is signed in POSTs to [Tickets.Handler]
// and connects with ?ticket=…. A ticket in a log is worthless by the time somebody
// reads it, and the page can read the response if no ticket is issued.
//
// A ticket carries the identity and the expiry that the scheme of the POST has reported
// by depends.Identify and depends.ValidUntil: the connection ends when the token expires,
// or at the exp of the claims that the ticket is issued for, and a revocation of the token
// (wsroute.Router.Revoke) revokes the ticket.
//
// The scheme provides the value that the ticket was issued for. Without a Store it is the
// same value: T may be any type, and a pointer in it is shared with the principal function.
// With a Store it is encoded as JSON. Then it is a wiring fault if T has a field that is not
// exported, or one beside an embedded field that encodes itself; a field with the tag
// json:"-" is left out; and no ticket is issued for a value that changes when it is encoded
// and decoded. A type with methods that encode and decode it, its own or those of an embedded
// field, is trusted.
//
// A ticket that is unknown, used, expired, or for another path or Origin is refused with the same
// 401 "invalid_ticket"; the log says which of these it is. A diagnosing GET spends none.
//
// The path is the one of the connection's URL as it is escaped there, of at most 2 KiB and
// without a query: a ticket is good for any query. Another path is refused with 422 when the
// ticket is asked for, and an Origin of more than 512 bytes with 403.
//
// Memory holds 30 000 unused tickets, each for twice its TTL, and 300 of one principal: of the
// subject of its depends.Identity or, if that is not known, of a value of T that can be compared.
// What is more is refused with 503, and with 429 "too_many_tickets". A Store has its own bounds.
//
// Make one with &Tickets[T]{}; it must not be copied, and is safe for concurrent use.
type Tickets[T any] struct {
	// Store stores tickets between the POST and the handshake. Several processes need a
	// shared one. It must be set before Use and OneOf. By default, the memory of this process.
	Store TicketStore
	// TTL is how long a ticket is valid: at most 5 minutes. By default, 30 seconds.
	TTL time.Duration
	// AllowZero says that a ticket may be for the zero T. By default, a handshake with one is
	// a 500.
	AllowZero bool

	memory memoryTickets[T]
}

// TicketStore stores tickets by the hash of their secret. Both methods must be
// safe for concurrent use.
type TicketStore interface {
	// Put stores a ticket until it expires.
	Put(ctx context.Context, hash string, ticket []byte, expires time.Time) error
	// Take returns a ticket and, if spend is true, removes it in the same step, so
	// that only one of two calls gets it. It returns depends.ErrAbsent for an unknown hash.
	Take(ctx context.Context, hash string, spend bool) ([]byte, error)
}

// ticket is what a Store, or the memory of this process, stores.
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
		Name: "Ticket", Format: "ticket",
		Sources:   []depends.Source{{In: "query", Name: "ticket", Once: true}},
		Challenge: ticketChallenge, Faults: f, AllowZero: t.AllowZero,
		Refuses: refuses("invalid_ticket"),
	}
}

// Authenticate implements [Scheme].
func (t *Tickets[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	var none T
	found, err := t.take(ctx, hashOf(c.Value), !c.Diagnosing())
	if errors.Is(err, depends.ErrAbsent) {
		err = &tokenError{"security: the ticket is unknown or was used", err}
	} else if why := found.mismatch(c); err == nil && why != "" {
		err = &tokenError{"security: the ticket " + why, depends.ErrAbsent}
	}
	if err != nil {
		return none, bind.RefuseUnknown(err, ticketChallenge, "invalid_ticket")
	}
	exp := identify(ctx, &found.For, nil)
	depends.Identify(ctx, found.Who) // after identify: it may correct the claims
	depends.ValidUntil(ctx, found.Until)
	depends.ValidUntil(ctx, exp) // without leeway: principal may have set an earlier one
	return found.For, nil
}

// mismatch returns why a ticket does not let in the request that a credential came with, or "".
func (t ticket[T]) mismatch(c depends.Credential) string {
	r := c.Request()
	origin := r.Header.Get("Origin")
	if c.Diagnosing() && origin == "" {
		origin = t.Origin // a page's GET to its own server has no Origin
	}
	switch {
	case !time.Now().Before(t.Expires):
		return "has expired"
	case t.Path != r.URL.EscapedPath():
		return "is for another path"
	case t.Origin != origin:
		return fmt.Sprintf("is for the Origin %+.80q, not %+.80q", t.Origin, origin)
	}
	return ""
}

// Handler issues tickets for the value that principal returns for a request, usually by
// [Authenticate]:
//
//	POST /ticket   {"path":"/ws/rooms/lobby"}
//	200            {"ticket":"…","expires_in":30}
//
// The body is a form, or JSON with the Content-Type application/json, which fetch does not set by
// itself. If an error of principal or of the Store is a *depends.Rejection, that is the response.
// For any other error the response is 500. slog.Default logs both.
func (t *Tickets[T]) Handler(principal func(*http.Request) (T, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := t.issue(w, r, principal); err != nil {
			rejection, ok := errors.AsType[*depends.Rejection](err)
			if ok {
				slog.InfoContext(r.Context(), "ticket refused", "error", err)
			} else {
				slog.ErrorContext(r.Context(), "ticket not issued", "error", err)
				rejection = &depends.Rejection{Status: http.StatusInternalServerError, Reason: "internal_error"}
			}
			rejection.ServeHTTP(w, r)
		}
	})
}

func (t *Tickets[T]) issue(
	w http.ResponseWriter, r *http.Request, principal func(*http.Request) (T, error),
) error {
	if r.Method != http.MethodPost {
		return &depends.Rejection{
			Status: http.StatusMethodNotAllowed, Reason: "method_not_allowed",
			Header: http.Header{"Allow": {http.MethodPost}},
		}
	}
	began := time.Now()
	ctx, observed := depends.Observe(r.Context())
	r = r.WithContext(ctx) // principal may parse the form, which wantedPath then reads
	value, err := principal(r)
	if err != nil {
		return err
	}
	identity, until := observed()
	if identity.Since.IsZero() {
		identity.Since = began
	}
	path, err := wantedPath(w, r)
	if err != nil {
		return err
	}
	origin := r.Header.Get("Origin")
	if len(origin) > maxTicketOrigin {
		return depends.Forbidden("origin_not_allowed", errors.New("security: the Origin is too long"))
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	text := base64.RawURLEncoding.EncodeToString(secret[:])
	ttl := cmp.Or(t.TTL, ticketTTL)
	expires := time.Now().Add(ttl).Round(0) // the wall clock also counts while a machine sleeps
	issued := ticket[T]{value, identity, until, path, origin, expires}
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
	u, err := url.ParseRequestURI(body.Path)
	if err == nil && body.Path[0] == '/' && len(body.Path) <= maxTicketPath &&
		!strings.ContainsAny(body.Path, "?#") {
		return u.EscapedPath(), nil
	}
	return "", &depends.Rejection{
		Status: http.StatusUnprocessableEntity, Reason: "invalid_parameters",
		Detail: fmt.Sprintf("path, in a form or application/json, is that of the connection's URL: "+
			"it has a slash in front, no query, no fragment, and at most %d bytes", maxTicketPath),
		Params: []depends.ParamError{{Loc: []string{"body", "path"}, Code: "malformed"}},
	}
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

// take returns a ticket, which may have expired, and removes it if spend is true.
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

// memoryTickets holds tickets in memory. An expired one stays for as long again: the log then
// says that it has expired.
type memoryTickets[T any] struct {
	mu      sync.Mutex
	tickets map[string]*heldTicket[T] // by the hash of their secret
	byWhom  map[any]int
}

type heldTicket[T any] struct {
	ticket[T]
	whose any // the principal; nil if that is not known
	end   *time.Timer
}

func (m *memoryTickets[T]) put(hash string, issued ticket[T]) error {
	h := &heldTicket[T]{ticket: issued}
	if who := issued.Who; who.Subject != "" {
		h.whose = [2]string{who.Issuer, who.Subject}
	} else if reflect.ValueOf(issued.For).Comparable() {
		h.whose = issued.For
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case len(m.tickets) >= maxTickets:
		return depends.Unavailable(ticketTTL, errors.New("security: too many tickets are unused"))
	case h.whose != nil && m.byWhom[h.whose] >= ticketShare:
		return &depends.Rejection{
			Status: http.StatusTooManyRequests, Reason: "too_many_tickets", RetryAfter: ticketTTL,
			Err: errors.New("security: a principal has too many unused tickets"),
		}
	case m.tickets == nil:
		m.tickets, m.byWhom = map[string]*heldTicket[T]{}, map[any]int{}
	}
	h.end = time.AfterFunc(2*time.Until(issued.Expires), func() { _, _ = m.take(hash, true) })
	m.tickets[hash] = h
	m.byWhom[h.whose]++
	return nil
}

func (m *memoryTickets[T]) take(hash string, spend bool) (ticket[T], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.tickets[hash]
	if !ok {
		return ticket[T]{}, depends.ErrAbsent
	}
	if spend {
		h.end.Stop()
		delete(m.tickets, hash)
		if m.byWhom[h.whose]--; m.byWhom[h.whose] == 0 {
			delete(m.byWhom, h.whose)
		}
	}
	return h.ticket, nil
}
