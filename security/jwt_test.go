package security_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestAcceptedTokens(t *testing.T) {
	k := keys()
	hs, named := jwt.SigningMethodHS256, object{"kid": "k1"}
	long := []byte(strings.Repeat("0123456789abcdef", 4))
	for _, c := range []struct {
		name  string
		keys  []security.Key
		token string
	}{
		{"HS256", []security.Key{security.HS256(secret)}, mint(nil, nil)},
		{"HS384", []security.Key{security.HS384(long)}, sign(jwt.SigningMethodHS384, long, nil, nil)},
		{"HS512", []security.Key{security.HS512(long)}, sign(jwt.SigningMethodHS512, long, nil, nil)},
		{"RS256", []security.Key{security.RS256(&k.rsa.PublicKey)}, sign(jwt.SigningMethodRS256, k.rsa, nil, nil)},
		{"ES256", []security.Key{security.ES256(&k.ecdsa.PublicKey)}, sign(jwt.SigningMethodES256, k.ecdsa, nil, nil)},
		{"EdDSA", []security.Key{security.EdDSA(k.ed25519.Public().(ed25519.PublicKey))}, sign(jwt.SigningMethodEdDSA, k.ed25519, nil, nil)},
		{"by kid", []security.Key{security.HS256(long).WithID("k0"), security.HS256(secret).WithID("k1")}, mint(named, nil)},
		{"second key without ID", []security.Key{security.HS256(long), security.HS256(secret)}, mint(nil, nil)},
		{"key of another algorithm first", []security.Key{security.RS256(&k.rsa.PublicKey), security.HS256(secret)}, mint(nil, nil)},
		{"no typ", []security.Key{security.HS256(secret)}, mint(object{"typ": nil}, nil)},
		{"typ jwt", []security.Key{security.HS256(secret)}, mint(object{"typ": "jwt"}, nil)},
		{"typ at+jwt", []security.Key{security.HS256(secret)}, mint(object{"typ": "application/AT+JWT"}, nil)},
		{"aud of several", []security.Key{security.HS256(secret)}, mint(nil, object{"aud": []string{"billing", audience}})},
		{"exp with a fraction", []security.Key{security.HS256(secret)}, mint(nil, object{"exp": 4e9 + 0.5})},
		{"exp in 99999999999", []security.Key{security.HS256(secret)}, mint(nil, object{"exp": 99999999999})},
		{"nbf over", []security.Key{security.HS256(secret)}, mint(nil, object{"nbf": 0})},
		{"no iat", []security.Key{security.HS256(secret)}, mint(nil, object{"iat": nil})},
		{
			"escaped names",
			[]security.Key{security.HS256(secret)},
			seal(hs, secret, `{"alg":"HS256"}`, `{ "\u0073ub" : "ann","name":"Ann", "iss":"https:\/\/login.example","aud":"chat","exp":99999999999, "x":"\",\"sub\":\"\\", "https:\/\/x.example\/roles":[{"sub":1,"sub":2}] }`),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := config()
			j.Keys = c.keys
			for _, scheme := range []security.Scheme[Claims]{prepared(t, j), j} {
				claims, err := authenticate(scheme, c.token)
				if err != nil {
					t.Fatal(err)
				}
				if claims.Subject != "ann" || claims.Name != "Ann" {
					t.Errorf("got %+v", claims)
				}
			}
		})
	}
}

func TestRealm(t *testing.T) {
	j := config()
	j.Realm = `the "chat" \o/`
	if got, want := j.Describe().Challenge, `Bearer realm="the \"chat\" \\o/"`; got != want {
		t.Errorf("challenge %s, want %s", got, want)
	}
	_, err := authenticate(prepared(t, j), "x")
	got := refusalOf(t, err).Header.Get("WWW-Authenticate")
	if want := `Bearer realm="the \"chat\" \\o/", error="invalid_token"`; got != want {
		t.Errorf("refusal %s, want %s", got, want)
	}
}

func TestAnyIssuerAndAudience(t *testing.T) {
	j := config()
	j.Issuer, j.Audience, j.InsecureAnyIssuer, j.InsecureAnyAudience = "", "", true, true
	scheme := prepared(t, j)
	for _, claims := range []object{nil, {"iss": nil, "aud": nil}, {"iss": "x", "aud": []string{"y"}}} {
		if _, err := authenticate(scheme, mint(nil, claims)); err != nil {
			t.Errorf("%v: %v", claims, err)
		}
	}
	if _, err := authenticate(scheme, mint(nil, object{"sub": nil})); err == nil {
		t.Error("a token without sub is accepted")
	}
}

// TestSeveralIssuersAndAudiences: any of them is accepted, and nothing else.
func TestSeveralIssuersAndAudiences(t *testing.T) {
	j := config()
	j.Issuer, j.Audience = "", ""
	j.Issuers, j.Audiences = []string{issuer, "https://old.example"}, []string{audience, "chat2"}
	scheme := prepared(t, j)
	for _, c := range []struct {
		claims object
		want   error
	}{
		{nil, nil},
		{object{"iss": "https://old.example", "aud": "chat2"}, nil},
		{object{"aud": []string{"billing", "chat2"}}, nil},
		{object{"iss": "https://old.example/"}, jwt.ErrTokenInvalidIssuer},
		{object{"iss": issuer + " https://old.example"}, jwt.ErrTokenInvalidIssuer},
		{object{"iss": nil}, jwt.ErrTokenRequiredClaimMissing},
		{object{"iss": ""}, jwt.ErrTokenRequiredClaimMissing},
		{object{"aud": "chat,chat2"}, jwt.ErrTokenInvalidAudience},
		{object{"aud": []string{}}, jwt.ErrTokenRequiredClaimMissing},
	} {
		if _, err := authenticate(scheme, mint(nil, c.claims)); !errors.Is(err, c.want) {
			t.Errorf("%v: got %v, want %v", c.claims, err, c.want)
		}
	}
}

// TestTheLogSaysHowToAcceptAToken. The kind: a token that many issuers make is refused, and
// nothing says which setting accepts it.
func TestTheLogSaysHowToAcceptAToken(t *testing.T) {
	for claim, want := range map[string]string{
		"sub": "sub claim is required; OptionalSubject accepts tokens without it",
		"exp": "exp claim is required; InsecureNoExpiry accepts tokens without it",
		"iss": "iss claim is required; InsecureAnyIssuer accepts tokens without it",
		"aud": "aud claim is required",
	} {
		_, err := authenticate(prepared(t, config()), mint(nil, object{claim: nil}))
		if !errors.Is(err, jwt.ErrTokenRequiredClaimMissing) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: got %v, want %s", claim, err, want)
		}
	}
	_, err := authenticate(prepared(t, config()), mint(nil, object{"iss": issuer + "/"}))
	if want := `invalid issuer: "` + issuer + `/"`; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestATokenWithoutSubject is accepted where that is said, and names nobody.
func TestATokenWithoutSubject(t *testing.T) {
	j := config()
	j.OptionalSubject = true
	for _, c := range []struct {
		claims object
		want   depends.Identity
	}{
		{object{"sub": nil, "iat": nil}, depends.Identity{}},
		{object{"sub": "", "iat": nil}, depends.Identity{}},
		{object{"sub": nil, "iat": nil, "jti": "t1"}, depends.Identity{TokenID: "t1"}},
		{object{"iat": nil}, depends.Identity{Issuer: issuer, Subject: "ann"}},
	} {
		ctx, said := depends.Observe(t.Context())
		if _, err := prepared(t, j).Authenticate(ctx, depends.Credential{Value: mint(nil, c.claims)}); err != nil {
			t.Errorf("%v: %v", c.claims, err)
		}
		if who, _ := said(); who != c.want {
			t.Errorf("%v: %+v, want %+v", c.claims, who, c.want)
		}
	}
	for _, sub := range []any{7, []string{"ann"}, json.RawMessage("null")} {
		if _, err := authenticate(prepared(t, j), mint(nil, object{"sub": sub})); err == nil {
			t.Errorf("sub %v is accepted", sub)
		}
	}
	if claims, err := authenticate(prepared(t, security.JWT[unsure]{
		Keys: j.Keys, Issuer: issuer, Audience: audience, OptionalSubject: true,
	}), mint(nil, object{"sub": "?"})); err == nil {
		t.Errorf("a subject that fails is accepted: %+v", claims)
	}
}

// TestATokenWithoutExpiry is accepted where that is said, for a connection with an end.
func TestATokenWithoutExpiry(t *testing.T) {
	for _, c := range []struct {
		limit time.Duration
		exp   any           // in seconds
		want  time.Duration // how long the connection may live; 0 if it is refused
	}{
		{0, nil, 0},
		{-time.Hour, nil, 0},
		{10 * time.Minute, nil, 10 * time.Minute},
		{time.Nanosecond, nil, time.Nanosecond},
		{time.Minute, 3600, time.Hour + 30*time.Second}, // the limit is for tokens without exp
		{2 * time.Hour, 3600, time.Hour + 30*time.Second},
		{time.Hour, -3600, 0},
		{time.Hour, json.RawMessage("null"), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			j := config()
			j.InsecureNoExpiry = c.limit
			exp := c.exp
			if seconds, ok := exp.(int); ok {
				exp = time.Now().Unix() + int64(seconds)
			}
			ctx, said := depends.Observe(t.Context())
			_, err := j.Authenticate(ctx, depends.Credential{Value: mint(nil, object{"exp": exp})})
			_, until := said()
			switch {
			case c.want == 0 && err == nil:
				t.Errorf("%+v: accepted", c)
			case c.want == 0:
				refusalOf(t, err)
			case err != nil || time.Until(until) != c.want:
				t.Errorf("%+v: until %v, %v", c, time.Until(until), err)
			}
		})
	}
}

// TestAConnectionWithoutExpiryEnds when the time is over that is allowed for it.
func TestAConnectionWithoutExpiryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := config()
		j.InsecureNoExpiry = 9 * time.Second
		deps := depends.New()
		security.Use(deps, j)
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		wsroute.Handle(ws, "/", func(ctx context.Context, c *wsroute.Conn[string, string], _ struct{ _ Claims }) error {
			_, err := c.Receive(ctx)
			return err
		})
		token := wstest.Header("Authorization", "Bearer "+mint(nil, object{"exp": nil}))
		began := time.Now()
		closed := wstest.Dial[string, string](t, wstest.Start(t, ws), "/", token).Closed()
		if took := time.Since(began); closed.Code != 3000 || closed.Reason != "token_expired" || took.Round(time.Second) != 9*time.Second {
			t.Errorf("%v after %v", closed, took)
		}
	})
}

// TestLeeway looks at the last second that is accepted and the first that is not.
func TestLeeway(t *testing.T) {
	for _, c := range []struct {
		leeway, exp, nbf, iat time.Duration
		want                  error
	}{
		{0, -29 * time.Second, 0, 0, nil},
		{0, -30 * time.Second, 0, 0, jwt.ErrTokenExpired},
		{0, time.Hour, 30 * time.Second, 0, nil},
		{0, time.Hour, 31 * time.Second, 0, jwt.ErrTokenNotValidYet},
		{0, time.Hour, 0, 30 * time.Second, nil},
		{0, time.Hour, 0, 31 * time.Second, jwt.ErrTokenUsedBeforeIssued},
		{1, 0, 0, 0, nil},
		{1, -time.Second, 0, 0, jwt.ErrTokenExpired},
		{1, time.Hour, time.Second, 0, jwt.ErrTokenNotValidYet},
		{5 * time.Minute, -299 * time.Second, 0, 0, nil},
		{5 * time.Minute, -300 * time.Second, 0, 0, jwt.ErrTokenExpired},
	} {
		synctest.Test(t, func(t *testing.T) { // its clock stands at a full second
			j := config()
			j.Leeway = c.leeway
			now := time.Now()
			token := mint(nil, object{"exp": now.Add(c.exp).Unix(), "nbf": now.Add(c.nbf).Unix(), "iat": now.Add(c.iat).Unix()})
			if _, err := authenticate(prepared(t, j), token); !errors.Is(err, c.want) {
				t.Errorf("%+v: %v", c, err)
			}
		})
	}
}

// TestExpiryPasses keeps one prepared scheme while its clock goes on.
func TestExpiryPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scheme := prepared(t, config())
		token := mint(nil, nil)
		time.Sleep(time.Hour + 30*time.Second - 1)
		if _, err := authenticate(scheme, token); err != nil {
			t.Errorf("a nanosecond before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := authenticate(scheme, token); !errors.Is(err, jwt.ErrTokenExpired) {
			t.Errorf("at the end: %v", err)
		}
	})
}

// byPointer is a jwt.Claims by its pointer alone.
type byPointer struct{ inner jwt.RegisteredClaims }

func (c *byPointer) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &c.inner) }

func (c *byPointer) GetExpirationTime() (*jwt.NumericDate, error) { return c.inner.ExpiresAt, nil }
func (c *byPointer) GetIssuedAt() (*jwt.NumericDate, error)       { return c.inner.IssuedAt, nil }
func (c *byPointer) GetNotBefore() (*jwt.NumericDate, error)      { return c.inner.NotBefore, nil }
func (c *byPointer) GetIssuer() (string, error)                   { return c.inner.Issuer, nil }
func (c *byPointer) GetSubject() (string, error)                  { return c.inner.Subject, nil }
func (c *byPointer) GetAudience() (jwt.ClaimStrings, error)       { return c.inner.Audience, nil }

func TestKindsOfClaims(t *testing.T) {
	if got := subjectAs[jwt.RegisteredClaims](t); got.Subject != "ann" {
		t.Errorf("RegisteredClaims: %+v", got)
	}
	if got := subjectAs[*Claims](t); got.Subject != "ann" {
		t.Errorf("a pointer: %+v", got)
	}
	if got := subjectAs[jwt.MapClaims](t); got["sub"] != "ann" {
		t.Errorf("MapClaims: %+v", got)
	}
	if got := subjectAs[byPointer](t); got.inner.Subject != "ann" {
		t.Errorf("by pointer: %+v", got)
	}
	if got := subjectAs[*byPointer](t); got.inner.Subject != "ann" {
		t.Errorf("a pointer, by pointer: %+v", got)
	}
}

// subjectAs authenticates a good token, and bad ones, with claims of type C.
func subjectAs[C any](t *testing.T) C {
	t.Helper()
	j := security.JWT[C]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}
	scheme := prepared(t, j)
	for _, bad := range []object{{"sub": nil}, {"exp": nil}, {"exp": 1e300}, {"aud": "x"}, {"iss": nil}, {"nbf": 4e9}, {"aud": []int{1}}} {
		if claims, err := authenticate(scheme, mint(nil, bad)); err == nil {
			t.Errorf("%T: accepted %v: %+v", claims, bad, claims)
		}
	}
	claims, err := authenticate(scheme, mint(nil, nil))
	if err != nil {
		t.Fatalf("%T: %v", claims, err)
	}
	return claims
}

// strict is refused by its own Validate, and records that it was decoded.
type strict struct {
	Claims
	Note note `json:"note"`
}

type note string

var noted []string

func (n *note) UnmarshalJSON(data []byte) error {
	noted = append(noted, string(data))
	return nil
}

var errNotAnn = errors.New("canaries\nare not admitted \x1b[31m")

func (s *strict) Validate() error {
	if s.Name != "Ann" {
		return errNotAnn
	}
	return nil
}

func TestValidate(t *testing.T) {
	j := security.JWT[strict]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}
	scheme := prepared(t, j)
	noted = nil
	if _, err := authenticate(scheme, sign(jwt.SigningMethodHS256, []byte("x"), nil, object{"note": "forged"})); err == nil || noted != nil {
		t.Errorf("a forged claim was decoded: %v, %q", err, noted)
	}
	if _, err := authenticate(scheme, mint(nil, object{"note": "x"})); err != nil || len(noted) != 1 {
		t.Errorf("%v, decoded %q", err, noted)
	}
	_, err := authenticate(scheme, mint(nil, object{"name": "Bob"}))
	if diff := cmp.Diff(invalidToken, refusalOf(t, err)); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(err, errNotAnn) || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("got %q", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	scheme, good, bad := prepared(t, config()), mint(nil, nil), mint(nil, object{"aud": "x"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if _, err := authenticate(scheme, good); err != nil {
					t.Error(err)
				}
				if _, err := authenticate(scheme, bad); err == nil {
					t.Error("accepted")
				}
			}
		})
	}
	all.Wait()
}

// unsure cannot tell its subject.
type unsure struct{ jwt.RegisteredClaims }

func (u unsure) GetSubject() (string, error) {
	if u.Subject == "?" {
		return "?", errNotAnn
	}
	return u.Subject, nil
}

func TestASubjectThatFails(t *testing.T) {
	j := security.JWT[unsure]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}
	if claims, err := authenticate(prepared(t, j), mint(nil, object{"sub": "?"})); err == nil {
		t.Errorf("accepted %+v", claims)
	}
}

// evicted looks its subject up, and says that there is none.
type evicted struct{ Claims }

func (e evicted) Validate() error { return fmt.Errorf("%s: %w", e.Subject, depends.ErrAbsent) }

// TestErrAbsentOfABadTokenIsHidden: a depends.Optional would let it in.
func TestErrAbsentOfABadTokenIsHidden(t *testing.T) {
	j := security.JWT[evicted]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}
	_, err := authenticate(prepared(t, j), mint(nil, nil))
	if diff := cmp.Diff(invalidToken, refusalOf(t, err)); diff != "" || errors.Is(err, depends.ErrAbsent) || !strings.Contains(err.Error(), "ann") {
		t.Errorf("%v\n%s", err, diff)
	}
	nobody := security.As(security.Scheme[Claims](config()), func(context.Context, Claims) (account, error) { return account{}, depends.ErrAbsent })
	_, err = authenticate(nobody, mint(nil, nil))
	if told := refusalOf(t, err); told.Status != 401 || told.Reason != "invalid_credentials" || errors.Is(err, depends.ErrAbsent) {
		t.Errorf("%+v", told)
	}
}
