package security_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type (
	signedIn struct {
		SID string `json:"sid"`
		jwt.RegisteredClaims
	}
	numbered struct {
		SID int64 `json:"sid"`
		jwt.RegisteredClaims
	}
	inner    struct{ jwt.RegisteredClaims }
	deep     struct{ inner }
	renamed  jwt.RegisteredClaims
	noFields struct{ renamed }
)

func (r renamed) GetExpirationTime() (*jwt.NumericDate, error) { return r.ExpiresAt, nil }
func (r renamed) GetIssuedAt() (*jwt.NumericDate, error)       { return r.IssuedAt, nil }
func (r renamed) GetNotBefore() (*jwt.NumericDate, error)      { return r.NotBefore, nil }
func (r renamed) GetIssuer() (string, error)                   { return r.Issuer, nil }
func (r renamed) GetSubject() (string, error)                  { return r.Subject, nil }
func (r renamed) GetAudience() (jwt.ClaimStrings, error)       { return r.Audience, nil }

// TestRevokeFindsATokenWhateverHoldsItsClaims. The kind: an identifier that is in the token,
// and that the claims type hides from usher.
func TestRevokeFindsATokenWhateverHoldsItsClaims(t *testing.T) {
	revocable[jwt.RegisteredClaims](t, nil)
	revocable[*jwt.RegisteredClaims](t, nil)
	revocable[jwt.MapClaims](t, nil)
	revocable[Claims](t, nil)
	revocable[*Claims](t, nil)
	revocable[signedIn](t, nil)
	revocable[*signedIn](t, nil)
	revocable[deep](t, nil)
	revocable[renamed](t, nil)
	revocable[noFields](t, nil)
	revocable[byPointer](t, nil)
	revocable[*byPointer](t, nil)
	revocable[numbered](t, object{"sid": 17})
	revocable[jwt.MapClaims](t, object{"sid": 17})
	revocable[jwt.MapClaims](t, object{"sid": json.Number("9007199254740993")})
	revocable[signedIn](t, object{"sid": nil, "SID": "s1"}) // as encoding/json reads it
	revocable[signedIn](t, object{"sid": "s\"1\u00e9\\", "jti": "t,}1"})
	revocable[signedIn](t, object{"nested": object{"sid": "other", "jti": "other"}})
}

// revocable connects with a token, and with a ticket that it buys, and revokes each.
func revocable[C any](t *testing.T, changes object) {
	t.Helper()
	claims := object{"jti": "t1", "sid": "s1", "name": nil}
	for name, value := range changes {
		claims[name] = value
	}
	text := func(name string) string {
		for _, v := range []any{claims[name], claims[strings.ToUpper(name)]} {
			switch v := v.(type) {
			case string:
				return v
			case nil:
			default:
				raw, _ := json.Marshal(v)
				return string(raw)
			}
		}
		return ""
	}
	scheme := security.JWT[C]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}
	tickets := &security.Tickets[C]{}
	deps := depends.New()
	security.Use(deps, security.OneOf(security.Scheme[C](scheme), security.Scheme[C](tickets)))
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	wsroute.Handle(ws, "/", func(ctx context.Context, c *wsroute.Conn[string, string], _ struct{ _ C }) error {
		_, err := c.Receive(ctx)
		return err
	})
	srv := wstest.Start(t, ws)
	bearer := "Bearer " + mint(nil, claims)
	connect := map[string]func() *wstest.Peer[string, string]{
		"a token": func() *wstest.Peer[string, string] {
			return wstest.Dial[string, string](t, srv, "/", wstest.Header("Authorization", bearer))
		},
		"a ticket for claims": func() *wstest.Peer[string, string] {
			r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(`{"path":"/"}`))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			tickets.Handler(func(*http.Request) (C, error) { // the scheme identifies nobody here
				return scheme.Authenticate(context.Background(), depends.Credential{Value: strings.TrimPrefix(bearer, "Bearer ")})
			}).ServeHTTP(w, r)
			var body struct{ Ticket string }
			if err := json.NewDecoder(w.Body).Decode(&body); err != nil {
				t.Fatal(err)
			}
			return wstest.Dial[string, string](t, srv, "/?ticket="+body.Ticket)
		},
	}
	for how, dial := range connect {
		for _, r := range []wsroute.Revocation{{TokenID: text("jti")}, {Session: text("sid")}} {
			if how != "a token" && !shows[C](claims, r) {
				continue
			}
			peer := dial()
			if n, err := ws.Revoke(t.Context(), r); n != 1 || err != nil {
				t.Errorf("%T with %v, %s: %+v ended %d connections, %v", *new(C), changes, how, r, n, err)
				continue
			}
			if closed := peer.Closed(); closed.Code != 3000 {
				t.Errorf("%T, %s: closed with %v", *new(C), how, closed)
			}
		}
	}
}

// shows reports whether a C still has what a revocation names when the token is gone.
func shows[C any](claims object, r wsroute.Revocation) bool {
	var c C
	_ = json.Unmarshal([]byte(encode(claims)), &c)
	decoder := json.NewDecoder(strings.NewReader(encode(c)))
	decoder.UseNumber()
	var all map[string]any
	_ = decoder.Decode(&all)
	return r.TokenID != "" && fmt.Sprint(all["jti"]) == r.TokenID || r.Session != "" && fmt.Sprint(all["sid"]) == r.Session
}

// TestATokenWithoutIdentifiers is of no session, and of no name.
func TestATokenWithoutIdentifiers(t *testing.T) {
	for _, claims := range []object{nil, {"sid": nil}, {"sid": true}, {"sid": object{"sid": "s1"}}, {"sid": []string{"s1"}}, {"sid": ""}} {
		ctx, said := depends.Observe(t.Context())
		scheme := security.JWT[jwt.MapClaims]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}
		if _, err := scheme.Authenticate(ctx, depends.Credential{Value: mint(nil, claims)}); err != nil {
			t.Fatal(err)
		}
		if who, _ := said(); who.Session != "" || who.TokenID != "" || who.Subject != "ann" {
			t.Errorf("%v: %+v", claims, who)
		}
	}
}
