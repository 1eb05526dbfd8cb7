package security_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/security"
)

type object = map[string]any

// refusal is everything of a Rejection that the peer can see.
type refusal struct {
	Status, CloseCode     int
	Reason, Title, Detail string
	Header                http.Header
	RetryAfter            time.Duration
	Params                int
}

func refusalOf(t *testing.T, err error) refusal {
	t.Helper()
	var r *depends.Rejection
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a Rejection", err)
	}
	return refusal{r.Status, r.CloseCode, r.Reason, r.Title, r.Detail, r.Header, r.RetryAfter, len(r.Params)}
}

var invalidToken = refusal{
	Status: 401, Reason: "invalid_token",
	Header: http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}},
}

type badToken struct {
	name, token string
	reason      string // what the log says; empty if it is golang-jwt's to choose
}

// TestRefusedTokens gives every kind of bad token to one scheme: all get the same
// answer, and the log alone knows the difference.
func TestRefusedTokens(t *testing.T) {
	var fetched atomic.Int32
	sentinel := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer sentinel.Close()

	j := config()
	j.Keys = []security.Key{
		security.HS256(secret),
		security.HS256(secret).WithID("h1"),
		security.RS256(&keys().rsa.PublicKey).WithID("r1"),
		security.ES256(&keys().ecdsa.PublicKey),
	}
	scheme := prepared(t, j)
	if _, err := authenticate(scheme, mint(nil, nil)); err != nil {
		t.Fatalf("the unchanged token is refused: %v", err)
	}
	cases := badSignatures()
	cases = append(cases, badHeaders(sentinel.URL)...)
	cases = append(cases, badClaims()...)
	cases = append(cases, badMembers()...)
	cases = append(cases, badSpellings()...)
	if len(cases) < 45 {
		t.Errorf("%d cases, want 45", len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			claims, err := authenticate(scheme, c.token)
			if err == nil {
				t.Fatalf("accepted, with %+v", claims)
			}
			if diff := cmp.Diff(invalidToken, refusalOf(t, err)); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(Claims{}, claims); diff != "" {
				t.Errorf("claims of a refused token:\n%s", diff)
			}
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("the log says %q, want %q", err, c.reason)
			}
			assertLoggable(t, err, c.token)
		})
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("a token made the scheme fetch %d times", n)
	}
}

// assertLoggable checks that a log line with err harms nobody.
func assertLoggable(t *testing.T, err error, token string) {
	t.Helper()
	text := err.Error()
	if strings.Contains(text, "canary") {
		t.Errorf("the log shows a secret: %q", text)
	}
	for _, p := range strings.Split(token, ".") {
		if len(p) >= 8 && strings.Contains(text, p) {
			t.Errorf("the log shows the token: %q", text)
		}
	}
	if strings.Contains(text, "keyfunc") {
		t.Errorf("the log shows how golang-jwt works inside: %q", text)
	}
	if len(text) > 400 {
		t.Errorf("the log line has %d bytes", len(text))
	}
	for _, r := range text {
		if r < ' ' || r > '~' {
			t.Errorf("the log line has the character %q: %q", r, text)
		}
	}
}

func badSignatures() []badToken {
	rsaPublic, _ := x509.MarshalPKIXPublicKey(&keys().rsa.PublicKey)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaPublic})
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&keys().rsa.PublicKey)})
	point, _ := keys().ecdsa.PublicKey.Bytes()
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	hs, rs, es := jwt.SigningMethodHS256, jwt.SigningMethodRS256, jwt.SigningMethodES256
	good := mint(nil, nil)
	signature := good[strings.LastIndex(good, ".")+1:]
	eve := mint(nil, object{"sub": "eve"})
	zeros := sign(es, keys().ecdsa, nil, nil)
	kid := func(id string) object { return object{"kid": id} }
	return []badToken{
		{"alg none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil), "signing method none is invalid"},
		{"alg none with a signature", sign(hs, secret, object{"alg": "none"}, nil), "signing method none is invalid"},
		{"alg nOnE", sign(hs, secret, object{"alg": "nOnE"}, nil), "signing method (alg) is unavailable"},
		{"alg NONE without signature", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, object{"alg": "NONE"}, nil), "signing method (alg) is unavailable"},
		{"alg missing", sign(hs, secret, object{"alg": nil}, nil), "signing method (alg) is unspecified"},
		{"alg a number", sign(hs, secret, object{"alg": 256}, nil), "signing method (alg) is unspecified"},
		{"alg an array", sign(hs, secret, object{"alg": []string{"HS256"}}, nil), "signing method (alg) is unspecified"},
		{"alg hs256", sign(hs, secret, object{"alg": "hs256"}, nil), "signing method (alg) is unavailable"},
		{"alg of no key", sign(jwt.SigningMethodHS512, secret, nil, nil), "signing method HS512 is invalid"},
		{"no signature", strings.TrimSuffix(good, signature), "signature is invalid"},
		{"another secret", sign(hs, []byte("another-secret-of-thirty-two-byte"), nil, nil), "signature is invalid"},
		{"a cut signature", good[:len(good)-3], "signature is invalid"},
		{"another's signature", eve[:strings.LastIndex(eve, ".")+1] + signature, "signature is invalid"},
		{"HS256 by the RSA key's PEM", sign(hs, asPEM, nil, nil), "signature is invalid"},
		{"HS256 by the RSA key's PKCS 1 PEM", sign(hs, pkcs1, nil, nil), "signature is invalid"},
		{"HS256 by the RSA key's PEM, under its kid", sign(hs, asPEM, kid("r1"), nil), `its algorithm is HS256, but the key is RS256 key "r1"`},
		{"HS256 by the RSA key's DER, under its kid", sign(hs, rsaPublic, kid("r1"), nil), "its algorithm is HS256"},
		{"HS256 by the ECDSA key's point", sign(hs, point, nil, nil), "signature is invalid"},
		{"RS256 under the kid of a secret", sign(rs, keys().rsa, kid("h1"), nil), "its algorithm is RS256, but the key is HS256"},
		{"ES256 under the kid of the RSA key", sign(es, keys().ecdsa, kid("r1"), nil), "its algorithm is ES256, but the key is RS256"},
		{"RS256 signature said to be ES256", sign(rs, keys().rsa, object{"alg": "ES256"}, nil), "signature is invalid"},
		{"ES256 signature said to be RS256", sign(es, keys().ecdsa, object{"alg": "RS256", "kid": "r1"}, nil), "signature is invalid"},
		{"RS256 by another key", sign(rs, other, kid("r1"), nil), "verification error"},
		{"RS256 without kid", sign(rs, keys().rsa, nil, nil), "every RS256 key has an ID"},
		{"PS256 by the RSA key", sign(jwt.SigningMethodPS256, keys().rsa, kid("r1"), nil), "signing method PS256 is invalid"},
		{"ES256 of zeros", zeros[:strings.LastIndex(zeros, ".")+1] + part(strings.Repeat("\x00", 64)), "signature is invalid"},
	}
}

func badHeaders(url string) []badToken {
	with := func(name string, value any) string { return mint(object{name: value}, nil) }
	foreign := func(header object) string {
		return sign(jwt.SigningMethodHS256, []byte("a-secret-that-the-attacker-chose"), header, nil)
	}
	key := object{"kty": "oct", "k": part("a-secret-that-the-attacker-chose")}
	return []badToken{
		{"crit", with("crit", []string{"exp"}), "its header has crit"},
		{"crit empty", with("crit", []string{}), "its header has crit"},
		{"crit null", seal(jwt.SigningMethodHS256, secret, `{"alg":"HS256","crit":null}`, `{}`), "its header has crit"},
		{"b64 false", with("b64", false), "its header has b64"},
		{"b64 true", with("b64", true), "its header has b64"},
		{"jku", foreign(object{"jku": url}), "signature is invalid"},
		{"x5u", foreign(object{"x5u": url}), "signature is invalid"},
		{"jwk", foreign(object{"jwk": key}), "signature is invalid"},
		{"jku and kid", foreign(object{"jku": url, "kid": url}), "no key has the ID"},
		{"x5c", foreign(object{"x5c": []string{"AAAA"}}), "signature is invalid"},
		{"kid unknown", with("kid", "h2"), `no key has the ID "h2"`},
		{"kid empty", with("kid", ""), `no key has the ID ""`},
		{"kid in another case", with("kid", "H1"), `no key has the ID "H1"`},
		{"kid a path", with("kid", "../../../../dev/null"), "no key has the ID"},
		{"kid SQL", with("kid", "h1' UNION SELECT 'x"), "no key has the ID"},
		{"kid with control characters", with("kid", "h1\x00\r\n\x1b[31m\u202e"), `"h1\x00\r\n\x1b[31m\u202e"`},
		{"kid of 200 bytes", with("kid", strings.Repeat("k", 200)), "its kid is longer than 128 bytes"},
		{"kid of 100 bytes", with("kid", strings.Repeat("k", 100)), `"` + strings.Repeat("k", 40) + `"`},
		{"kid a number", with("kid", 1), "kid has a value of the wrong type"},
		{"kid an array", with("kid", []string{"h1"}), "kid has a value of the wrong type"},
		{"kid an object", with("kid", object{"h1": 1}), "kid has a value of the wrong type"},
		{"typ of a logout token", with("typ", "logout+jwt"), "its typ is neither"},
		{"typ JOSE", with("typ", "JOSE"), "its typ is neither"},
		{"typ empty", with("typ", ""), "its typ is neither"},
		{"typ a number", with("typ", 1), "typ has a value of the wrong type"},
		{"typ with a parameter", with("typ", "application/jwt;x"), "its typ is neither"},
	}
}

func badClaims() []badToken {
	with := func(name string, value any) string { return mint(nil, object{name: value}) }
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	return []badToken{
		{"exp missing", with("exp", nil), "exp claim is required"},
		{"exp null", seal(jwt.SigningMethodHS256, secret, `{"alg":"HS256"}`, `{"exp":null}`), "exp has a value of the wrong type"},
		{"exp over", with("exp", at(-time.Minute)), "token is expired"},
		{"exp 0", with("exp", 0), "token is expired"},
		{"exp negative", with("exp", -1), "1970"},
		{"exp a string", with("exp", "9999999999"), "exp has a value of the wrong type"},
		{"exp an array", with("exp", []int64{at(time.Hour)}), "exp has a value of the wrong type"},
		{"exp 1e300", with("exp", 1e300), "1970"},
		{"exp -1e300", with("exp", -1e300), "1970"},
		{"exp 1e400", with("exp", json.Number("1e400")), "value out of range"},
		{"exp 1e18", with("exp", json.Number("1e18")), "1970"},
		{"exp 2^63", with("exp", json.Number("9223372036854775808")), "1970"},
		{"exp year 10000", with("exp", int64(253402300800)), "1970"},
		{"exp of 4000 digits", with("exp", json.Number(strings.Repeat("9", 4000))), ""},
		{"nbf ahead", with("nbf", at(time.Minute)), "token is not valid yet"},
		{"nbf a string", with("nbf", "0"), "nbf has a value of the wrong type"},
		{"nbf 1e300", with("nbf", 1e300), "1970"},
		{"iat ahead", with("iat", at(time.Minute)), "token used before issued"},
		{"iat 1e300", with("iat", 1e300), "1970"},
		{"iat null", seal(jwt.SigningMethodHS256, secret, `{"alg":"HS256"}`, `{"iat":null}`), "iat has a value of the wrong type"},
		{"iss missing", with("iss", nil), "iss claim is required"},
		{"iss another", with("iss", "https://evil.example"), "invalid issuer"},
		{"iss with a slash more", with("iss", issuer+"/"), "invalid issuer"},
		{"iss in another case", with("iss", strings.ToUpper(issuer)), "invalid issuer"},
		{"iss an array", with("iss", []string{issuer}), "iss has a value of the wrong type"},
		{"aud missing", with("aud", nil), "aud claim is required"},
		{"aud another", with("aud", "billing"), "invalid audience"},
		{"aud others", with("aud", []string{"billing", "chat2"}), "invalid audience"},
		{"aud empty", with("aud", []string{}), "aud claim is required"},
		{"aud a number", with("aud", 7), "aud has a value of the wrong type"},
		{"aud an array of numbers", with("aud", []int{7}), "invalid type for claim"},
		{"aud nested", with("aud", []any{[]string{audience}}), "invalid type for claim"},
		{"aud an object", with("aud", object{audience: true}), "aud has a value of the wrong type"},
		{"sub missing", with("sub", nil), "sub"},
		{"sub empty", with("sub", ""), "sub"},
		{"sub a number", with("sub", 1), "sub has a value of the wrong type"},
		{"name a number", with("name", 1), `"name" is a number and does not fit string`},
	}
}

func badMembers() []badToken {
	hs := jwt.SigningMethodHS256
	header := `{"alg":"HS256","typ":"JWT"}`
	payload := encode(object{"iss": issuer, "aud": audience, "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
	more := func(members string) string {
		return seal(hs, secret, header, strings.TrimSuffix(payload, "}")+","+members+"}")
	}
	less := func(old, members string) string {
		return seal(hs, secret, header, strings.Replace(payload, old, members, 1))
	}
	head := func(h string) string { return seal(hs, secret, h, payload) }
	return []badToken{
		{"sub twice", more(`"sub":"root"`), `"sub" is there twice`},
		{"exp twice", more(`"exp":9999999999`), `"exp" is there twice`},
		{"sub twice, once escaped", more(`"\u0073ub":"root"`), `"sub" is there twice`},
		{"name twice", more(`"name":"a","name":"b"`), `"name" is there twice`},
		{"name twice by case", more(`"name":"a","NAME":"b"`), `"NAME" is there twice`},
		{"SUB besides sub", more(`"SUB":"root"`), "by case"},
		{"SUB in place of sub", less(`"sub"`, `"SUB"`), "by case"},
		{"Exp in place of exp", less(`"exp"`, `"Exp"`), "by case"},
		{"sub with a long s", more(`"ſub":"root"`), "by case"},
		{"sub with an escaped long s", more(`"\u017fub":"root"`), "by case"},
		{"too many members", more(`"a":0` + manyMembers(200)), "more than 128 members"},
		{"alg twice", head(`{"alg":"none","alg":"HS256"}`), `"alg" is there twice`},
		{"ALG besides alg", head(`{"alg":"HS256","ALG":"none"}`), "by case"},
		{"Crit", head(`{"alg":"HS256","Crit":["x"]}`), "by case"},
		{"kid with a Kelvin sign", head(`{"alg":"HS256","` + "\u212a" + `id":"h1"}`), "by case"},
		{"jku twice", head(`{"alg":"HS256","jku":"a","jku":"b"}`), `"jku" is there twice`},
		{"payload an array", seal(hs, secret, header, `[`+payload+`]`), "not a JSON object"},
		{"payload null", seal(hs, secret, header, `null`), "not a JSON object"},
		{"payload a string", seal(hs, secret, header, `"x"`), "not a JSON object"},
		{"payload empty", seal(hs, secret, header, ``), "token is malformed"},
		{"payload with more behind", seal(hs, secret, header, payload+`{}`), "token is malformed"},
		{"payload not UTF-8", more("\"name\":\"\xff\""), "not UTF-8"},
		{"payload of deep arrays", more(`"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `,"sub":"root"`), `"sub" is there twice`},
		{"sub twice, the second behind a backslash", more(`"x":"\\","sub":"root"`), `"sub" is there twice`},
		{"header not ASCII", head("\u00e9"), "token is malformed"},
		{"header null", head(`null`), "unspecified"},
		{"header an array", head(`["HS256"]`), "token is malformed"},
		{"header empty", head(``), "token is malformed"},
		{"header with more behind", head(header + `x`), "token is malformed"},
		{"header with a vast number", head(`{"alg":"HS256","x":1` + strings.Repeat("0", 400) + `}`), "its header is not a usable JSON object"},
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":0`, i)
	}
	return b.String()
}

func badSpellings() []badToken {
	good := mint(nil, nil)
	parts := strings.Split(good, ".")
	// 32 bytes leave two bits of the last character unused: setting one of them
	// spells the same signature differently.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	long := mint(nil, object{"name": strings.Repeat("n", 8<<10)})
	return []badToken{
		{"empty", "", "token is malformed"},
		{"dots", "..", "token is malformed"},
		{"two parts", parts[0] + "." + parts[1], "invalid number of segments"},
		{"four parts", good + "." + parts[2], "invalid number of segments"},
		{"a dot behind", good + ".", "invalid number of segments"},
		{"encrypted, five parts", good + ".AAAA.AAAA", "invalid number of segments"},
		{"unused bits set", good[:len(good)-1] + string(alphabet[last|1]), "token is malformed"},
		{"padding", good + "=", "token is malformed"},
		{"a line break at the end", good + "\n", "line break"},
		{"a line break in the signature", good[:len(good)-3] + "\r\n" + good[len(good)-3:], "line break"},
		{"a space in front", " " + good, "token is malformed"},
		{"Bearer twice", "Bearer " + good, "token is malformed"},
		{"in standard base64", strings.NewReplacer("-", "+", "_", "/").Replace(good[:len(good)-2]) + "+/", "token is malformed"},
		{"over 8 KiB", long, "are more than 8192"},
		{"1 MiB of dots", strings.Repeat(".", 1<<20), "are more than 8192"},
		{"NUL", good + "\x00", "token is malformed"},
	}
}

// TestForgedAndExpired: whether a token has expired is told to nobody who could
// not sign it, not even by way of errors.Is.
func TestForgedAndExpired(t *testing.T) {
	past := object{"exp": time.Now().Add(-time.Hour).Unix()}
	_, err := authenticate(prepared(t, config()), mint(nil, past))
	if !errors.Is(err, jwt.ErrTokenExpired) {
		t.Errorf("signed and expired: %v, want ErrTokenExpired", err)
	}
	_, err = authenticate(prepared(t, config()), sign(jwt.SigningMethodHS256, []byte("x"), nil, past))
	if errors.Is(err, jwt.ErrTokenExpired) || !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		t.Errorf("forged and expired: %v, want ErrTokenSignatureInvalid alone", err)
	}
}
