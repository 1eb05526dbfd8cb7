package differential

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
)

const (
	issuer   = "https://login.example"
	audience = "chat"
	leeway   = 30 * time.Second
)

// claims are what usher and golang-jwt decode a payload into.
type claims struct{ jwt.RegisteredClaims }

var hmacSecret = []byte("a secret of the tests, which has sixty-four bytes: as HS512 asks")

// tokenKeys are made once: RSA is slow.
var tokenKeys = sync.OnceValue(func() (k struct {
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
},
) {
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.ecdsa, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed25519, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

// tokenScheme is usher's reader of tokens.
func tokenScheme() security.JWT[claims] {
	k := tokenKeys()
	public := k.ed25519.Public().(ed25519.PublicKey)
	return security.JWT[claims]{
		Issuer: issuer, Audience: audience, Leeway: leeway,
		Keys: []security.Key{
			security.HS256(hmacSecret), security.HS256(hmacSecret).WithID("k1"),
			security.RS256(&k.rsa.PublicKey),
			security.ES256(&k.ecdsa.PublicKey), security.ES256(&k.ecdsa.PublicKey).WithID("k2"),
			security.EdDSA(public),
		},
	}
}

// verificationKey is the key for an algorithm and a kid, by the rule of security.Key.WithID.
func verificationKey(algorithm, id string, named bool) (any, error) {
	k := tokenKeys()
	switch {
	case algorithm == "HS256" && (!named || id == "k1"):
		return hmacSecret, nil
	case algorithm == "ES256" && (!named || id == "k2"):
		return &k.ecdsa.PublicKey, nil
	case algorithm == "RS256" && !named:
		return &k.rsa.PublicKey, nil
	case algorithm == "EdDSA" && !named:
		return k.ed25519.Public(), nil
	}
	return nil, errors.New("no such key")
}

const refused = "refused"

// accepted is the answer to a good token: who it names, and until when.
func accepted(iss, sub string, aud []string, exp time.Time) string {
	return fmt.Sprintf("= %+q %+q %+q %d", iss, sub, aud, exp.Unix())
}

func usherReads(t *testing.T, token string) string {
	ctx, observed := depends.Observe(context.Background())
	credential := depends.Credential{Source: security.BearerHeader(), Value: token}
	c, err := tokenScheme().Authenticate(ctx, credential)
	if err != nil {
		return refused
	}
	identity, until := observed()
	if exp := c.ExpiresAt.Time; until.IsZero() || until.After(exp.Add(leeway)) {
		t.Errorf("the connection may stay until %v, with a token until %v", until, exp)
	}
	return accepted(identity.Issuer, identity.Subject, c.Audience, c.ExpiresAt.Time)
}

func golangJWTReads(token string) string {
	parser := jwt.NewParser(
		jwt.WithStrictDecoding(), jwt.WithValidMethods([]string{"HS256", "RS256", "ES256", "EdDSA"}), jwt.WithLeeway(leeway),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
	)
	var c claims
	_, err := parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		id, named := t.Header["kid"].(string)
		return verificationKey(t.Method.Alg(), id, named)
	})
	if err != nil {
		return refused
	}
	return accepted(c.Issuer, c.Subject, c.Audience, c.ExpiresAt.Time)
}

func goJoseReads(token string) string {
	parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256, jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		return refused
	}
	header := parsed.Headers[0] // a compact token has one
	key, err := verificationKey(header.Algorithm, header.KeyID, header.KeyID != "")
	var c josejwt.Claims
	if err != nil || parsed.Claims(key, &c) != nil || c.Expiry == nil {
		return refused
	}
	expected := josejwt.Expected{Issuer: issuer, AnyAudience: josejwt.Audience{audience}, Time: time.Now()}
	if c.ValidateWithLeeway(expected, leeway) != nil {
		return refused
	}
	return accepted(c.Issuer, c.Subject, c.Audience, c.Expiry.Time())
}

// signers make a signature of a text. Those of the first names are keys of tokenScheme.
var signers = []struct {
	name string
	sign func(text string) []byte
}{
	{"HS256", func(text string) []byte { return signed(jwt.SigningMethodHS256, text, hmacSecret) }},
	{"EdDSA", func(text string) []byte { return signed(jwt.SigningMethodEdDSA, text, tokenKeys().ed25519) }},
	{"ES256", func(text string) []byte { return signed(jwt.SigningMethodES256, text, tokenKeys().ecdsa) }},
	{"RS256", func(text string) []byte { return signed(jwt.SigningMethodRS256, text, tokenKeys().rsa) }},
	{"no signature", func(string) []byte { return nil }},
	{"HS512", func(text string) []byte { return signed(jwt.SigningMethodHS512, text, hmacSecret) }},
	{"RS512", func(text string) []byte { return signed(jwt.SigningMethodRS512, text, tokenKeys().rsa) }},
	{"PS256", func(text string) []byte { return signed(jwt.SigningMethodPS256, text, tokenKeys().rsa) }},
	{"HS256 with the public key", func(text string) []byte {
		der, _ := x509.MarshalPKIXPublicKey(&tokenKeys().rsa.PublicKey)
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		return signed(jwt.SigningMethodHS256, text, public)
	}},
	{"ES256 in DER", func(text string) []byte {
		raw := signed(jwt.SigningMethodES256, text, tokenKeys().ecdsa)
		der, _ := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
		return der
	}},
	{"ES256 with the other s", func(text string) []byte {
		raw := signed(jwt.SigningMethodES256, text, tokenKeys().ecdsa)
		s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(raw[32:]))
		return append(raw[:32], s.FillBytes(make([]byte, 32))...)
	}},
	{"ES256 of zeros", func(string) []byte { return make([]byte, 64) }},
	{"RS256 with a zero before", func(text string) []byte {
		return append([]byte{0}, signed(jwt.SigningMethodRS256, text, tokenKeys().rsa)...)
	}},
	{"HS256 cut", func(text string) []byte { return signed(jwt.SigningMethodHS256, text, hmacSecret)[:31] }},
}

func signed(method jwt.SigningMethod, text string, key any) []byte {
	signature, err := method.Sign(text, key)
	if err != nil {
		panic(err)
	}
	return signature
}

// askedToken is a token, and its parts as far as they decode.
type askedToken struct {
	token           string
	header, payload []byte
}

func (a askedToken) String() string {
	return fmt.Sprintf("%s\nheader %s\npayload %s", a.token, a.header, a.payload)
}

func tokenOf(text string) askedToken {
	a := askedToken{token: text}
	if parts := strings.Split(text, "."); len(parts) > 1 {
		a.header, _ = base64.RawURLEncoding.DecodeString(parts[0])
		a.payload, _ = base64.RawURLEncoding.DecodeString(parts[1])
	}
	return a
}

// member is one of a JSON object's.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf are all that stand in an object, duplicates too.
func membersOf(object []byte) (list []member) {
	d := json.NewDecoder(strings.NewReader(string(object)))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		m := member{name: fmt.Sprint(name)}
		if d.Decode(&m.value) != nil {
			return nil
		}
		list = append(list, m)
	}
	return list
}

// has says whether one of an object's members is so.
func has(object []byte, is func(member) bool) bool { return slices.ContainsFunc(membersOf(object), is) }

// called is a member of one of the names.
func called(names ...string) func(member) bool {
	return func(m member) bool { return slices.Contains(names, m.name) }
}

// ambiguous says whether readers may disagree which of an object's members count: two have
// one name but for case, or one has a registered name but for case.
func ambiguous(object []byte, registered ...string) bool {
	list := membersOf(object)
	for i, m := range list {
		alike := func(other member) bool { return strings.EqualFold(m.name, other.name) }
		like := func(name string) bool { return m.name != name && strings.EqualFold(m.name, name) }
		if slices.ContainsFunc(list[:i], alike) || slices.ContainsFunc(registered, like) {
			return true
		}
	}
	return false
}

var (
	headerNames = []string{"alg", "kid", "typ", "crit", "b64"}
	claimNames  = []string{"iss", "sub", "aud", "jti", "exp", "nbf", "iat"}
)

// wrongType says whether a registered member has another type than RFC 7515 or RFC 7519 give it.
func wrongType(m member) bool {
	begins := string(m.value[:1])
	switch {
	case called("alg", "kid", "typ", "iss", "sub", "jti")(m):
		return begins != `"`
	case m.name == "aud":
		return begins != `"` && begins != "["
	case called("exp", "nbf", "iat")(m):
		return !strings.Contains("-0123456789", begins)
	}
	return false
}

// refuses is a difference in which usher is stricter.
func refuses(name, words string, is func(a askedToken) bool) difference[askedToken] {
	return difference[askedToken]{
		name: name, page: "security/doc.go", words: words,
		usher: func(a askedToken) (string, bool) { return refused, is(a) },
	}
}

// tokenDifferences are those in which usher is stricter than both references.
func tokenDifferences() []difference[askedToken] {
	return []difference[askedToken]{
		refuses("a long token", "a token of more than 8 KiB", func(a askedToken) bool { return len(a.token) > 8<<10 }),
		refuses("an extension", "a header with crit or b64", func(a askedToken) bool {
			return has(a.header, called("crit", "b64"))
		}),
		refuses("another typ", "a typ other than JWT or at+jwt", func(a askedToken) bool {
			return has(a.header, func(m member) bool {
				var typ string
				_ = json.Unmarshal(m.value, &typ)
				known := []string{"jwt", "at+jwt", "application/jwt", "application/at+jwt"}
				return m.name == "typ" && !slices.Contains(known, strings.ToLower(typ))
			})
		}),
		refuses(
			"a name twice", "a member that is there twice, or two whose names differ only by case",
			func(a askedToken) bool {
				return ambiguous(a.header, headerNames...) || ambiguous(a.payload, claimNames...)
			},
		),
		refuses("another type", "a registered claim of another type than that of RFC 7519", func(a askedToken) bool {
			return has(a.header, wrongType) || has(a.payload, wrongType)
		}),
		refuses("no subject", "The claims exp, iss, aud and sub are required", func(a askedToken) bool {
			return !has(a.payload, func(m member) bool { return m.name == "sub" && string(m.value) != `""` })
		}),
		refuses("a date out of range", "dates outside the years 1970 to 9999", func(a askedToken) bool {
			return has(a.payload, func(m member) bool {
				var date float64
				_ = json.Unmarshal(m.value, &date)
				return called("exp", "nbf", "iat")(m) && (date < 0 || date >= 253402300800)
			})
		}),
		{
			name: "many members",
			page: "docs/configuration.md", words: "members of a token's objects | 128",
			usher: func(a askedToken) (string, bool) {
				return refused, len(membersOf(a.header)) > 128 || len(membersOf(a.payload)) > 128
			},
		},
		refuses("text that is not UTF-8", "text that is not UTF-8", func(a askedToken) bool {
			return !utf8.Valid(a.header) || !utf8.Valid(a.payload)
		}),
	}
}

// goJoseDifferences are those from go-jose alone.
func goJoseDifferences() []difference[askedToken] {
	return []difference[askedToken]{
		{
			name: "an empty kid is one, and go-jose sees none",
			page: "security/key.go", words: "A token with a kid is verified with the key of that ID or refused",
			usher: func(a askedToken) (string, bool) {
				return refused, has(a.header, func(m member) bool { return m.name == "kid" && string(m.value) == `""` })
			},
		},
		{
			name: "a token ends at exp and the leeway, and go-jose takes it at that moment",
			page: "docs/security.md", words: "`token_expired` at `exp` + `Leeway`",
			usher: func(a askedToken) (string, bool) {
				return refused, has(a.payload, func(m member) bool {
					var date float64
					_ = json.Unmarshal(m.value, &date)
					return m.name == "exp" && time.Unix(int64(date), 0).Equal(time.Now().Add(-leeway))
				})
			},
		},
		{
			name: "a header that holds a key or what else go-jose reads is not asked about it",
			page: "security/doc.go", words: "The token's header chooses among the keys, and does nothing else",
			usher: func(a askedToken) (string, bool) {
				known := func(m member) bool { return called("alg", "kid", "typ")(m) }
				return golangJWTReads(a.token), has(a.header, func(m member) bool { return !known(m) })
			},
		},
	}
}

// compareToken asks all three readers.
func compareToken(t *testing.T, golangJWT, goJose *differences[askedToken], token string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { // where it is 2000-01-01, 946684800
		a, usher := tokenOf(token), usherReads(t, token)
		golangJWT.compare(t, a, usher, golangJWTReads(token))
		goJose.compare(t, a, usher, goJoseReads(token))
	})
}

const goodPayload = `{"iss":"https://login.example","aud":"chat","sub":"ann","exp":946684900,"iat":946684800}`

var headers = []string{
	`{"alg":"HS256"}`, `{"alg":"HS256","typ":"JWT"}`, `{"alg":"HS256","kid":"k1"}`,
	`{"alg":"HS256","kid":"k2"}`, `{"alg":"HS256","kid":""}`, `{"alg":"HS256","kid":7}`,
	`{"alg":"HS256","kid":null}`,
	`{"alg":"none"}`, `{"alg":"None"}`, `{"alg":"hs256"}`, `{"alg":""}`, `{"alg":null}`,
	`{"alg":["HS256"]}`, `{}`, `null`, `[]`, `"HS256"`, ``, `{`, `{"alg":"HS256"} `,
	` {"alg":"HS256"}`, `{"alg":"HS256"}{}`, `{"alg":"HS256",}`,
	`{"alg":"HS256","alg":"HS256"}`, `{"alg":"none","alg":"HS256"}`, `{"alg":"HS256","alg":"none"}`,
	`{"ALG":"HS256"}`, `{"alg":"HS256","Alg":"none"}`, `{"\u0061lg":"HS256"}`,
	`{"alg":"HS\u0032\u0035\u0036"}`,
	`{"alg":"HS256","crit":[]}`, `{"alg":"HS256","crit":["exp"]}`,
	`{"alg":"HS256","crit":["b64"],"b64":false}`, `{"alg":"HS256","b64":false}`,
	`{"alg":"HS256","b64":true}`, `{"alg":"HS256","CRIT":["x"]}`,
	`{"alg":"HS256","typ":"jwt"}`, `{"alg":"HS256","typ":"at+jwt"}`,
	`{"alg":"HS256","typ":"application/at+JWT"}`, `{"alg":"HS256","typ":"logout+jwt"}`,
	`{"alg":"HS256","typ":"JWE"}`, `{"alg":"HS256","typ":""}`, `{"alg":"HS256","typ":7}`,
	`{"alg":"HS256","jwk":{"kty":"oct","k":"AQAB"}}`, `{"alg":"HS256","jwk":7}`,
	`{"alg":"HS256","jku":"https://evil.example"}`, `{"alg":"HS256","x5c":["AQAB"]}`,
	`{"alg":"HS256","x5u":7}`, `{"alg":"HS256","nonce":"a"}`, `{"alg":"HS256","nonce":7}`,
	`{"alg":"HS256","x5t":"AQAB"}`, `{"alg":"HS256","x5t#S256":"AQAB"}`,
	`{"alg":"HS256","cty":"JWT"}`, `{"alg":"HS256","zip":"DEF"}`, `{"alg":"HS256","enc":"A128GCM"}`,
	`{"alg":"HS256","x":{"x":1,"x":2}}`, `{"alg":"HS256","x":"` + "\xff" + `"}`,
	"{\"alg\":\"HS256\"}\x00", "\ufeff" + `{"alg":"HS256"}`, `{"alg":"HS256","x":"\ud800"}`,
	`{"alg":"HS384"}`, `{"alg":"HS512"}`, `{"alg":"RS256"}`, `{"alg":"RS512"}`, `{"alg":"PS256"}`,
	`{"alg":"ES256"}`, `{"alg":"ES256","kid":"k2"}`, `{"alg":"ES256","kid":"k1"}`,
	`{"alg":"ES384"}`, `{"alg":"ES256K"}`, `{"alg":"EdDSA"}`, `{"alg":"Ed25519"}`, `{"alg":"dir"}`,
	`{"alg":"HS256","kid":"` + strings.Repeat("k", 129) + `"}`, `{"alg":"HS256"` + strings.Repeat(`,"x":1`, 2) + `}`,
}

// payloads differ from the good one by one thing each.
func payloads() []string {
	with := func(changes ...string) string { return strings.NewReplacer(changes...).Replace(goodPayload) }
	list := []string{
		goodPayload, ``, `null`, `[]`, `{}`, `{`, goodPayload + goodPayload, goodPayload + " ",
		goodPayload + "x", " \n\t" + goodPayload, "\ufeff" + goodPayload, with(`"ann"`, `"a\"}{"`),
		with(`{`, `{"x":{"exp":1,"a":[{"}":"]"}]},`),
		with(`"ann"`, `"`+"\xff"+`"`), with(`"ann"`, `"`+"\u00e9"+`"`),
		with(`"ann"`, `"\u0061\u0000"`), with(`"ann"`, `"\ud800"`), with(`"ann"`, `"ann`),
		with(`"sub"`, `"s\u0075b"`), with(`"sub"`, `"SUB"`), with(`"sub"`, `"ſub"`),
		with(`"iss"`, `"iſs"`),
		with(`{`, `{"sub":"root",`), with(`}`, `,"sub":"root"}`), with(`}`, `,"Sub":"root"}`),
		with(`}`, `,"\u0073ub":"root"}`), with(`}`, `,"exp":1}`), with(`}`, `,"x":1,"x":2}`),
		with(`}`, `,"x":1,"X":2}`), with(`}`, `,"x":{"x":1,"x":2}}`),
		with(`}`, `,"x":[{"exp":1}]}`),
		with(`}`, `,"jti":"1"}`), with(`}`, `,"jti":1}`), with(`}`, `,"jti":null}`),
		with(`}`, `,}`), with(`,"sub"`, `,,"sub"`),
	}
	for _, sub := range []string{`""`, `7`, `null`, `["ann"]`, `" "`, `"ANN"`} {
		list = append(list, with(`"ann"`, sub))
	}
	for _, iss := range []string{
		`""`, `null`, `7`, `"https://login.example/"`, `"HTTPS://login.example"`,
		`["https://login.example"]`, `"https://login.example\u0000"`,
	} {
		list = append(list, with(`"https://login.example"`, iss))
	}
	for _, aud := range []string{
		`""`, `[]`, `null`, `7`, `["chat"]`, `["x","chat"]`, `["chat","chat"]`, `"Chat"`,
		`["Chat"]`, `["x"]`, `["chat",7]`, `[7,"chat"]`, `[null,"chat"]`, `[["chat"]]`,
		`{"chat":1}`, `"chat "`, `"x chat"`, `true`, `["chat"`,
	} {
		list = append(list, with(`"chat"`, aud))
	}
	dates := []string{
		`946684770`, `946684769`, `946684771`, `946684770.5`, `946684769.999`, `946684800.999999`,
		`946684830`, `946684831`, `946684830.5`, `0`, `-0`, `-1`, `-0.5`, `0.1`, `1e9`,
		`9.466849e8`, `946684900.0`, `1E10`, `253402300799`, `253402300799.5`, `253402300800`,
		`1e18`, `4611686018427387904`, `9223372036854775807`, `9223372036854775808`,
		`18446744073709551616`, `1e19`, `1e300`, `1e309`, `-1e18`, `-1e300`, `1e-400`,
		`"946684900"`, `""`, `null`, `true`, `[946684900]`, `{}`, `0946684900`, `+946684900`,
		`946684900.`, `.5`, `0x386d4380`, `NaN`, `Infinity`, `1e`, `946684900e0`,
	}
	for _, date := range dates {
		list = append(list, with(`946684900`, date), with(`946684800`, date), with(`"iat"`, `"nbf"`, `946684800`, date))
	}
	for _, gone := range []string{`"iss":"https://login.example",`, `"aud":"chat",`, `"sub":"ann",`, `"exp":946684900,`, `,"iat":946684800`} {
		list = append(list, with(gone, ""))
	}
	var members strings.Builder
	for i := range 128 {
		fmt.Fprintf(&members, `"x%d":1,`, i)
	}
	return append(list, with(`{`, `{`+members.String()), with(`{`, `{"x":"`+strings.Repeat("x", 8<<10)+`",`))
}

// FuzzToken: usher accepts a token only if golang-jwt, with strict decoding, and go-jose
// accept it and read the same principal of it; what it refuses and they accept is named.
func FuzzToken(f *testing.F) {
	add := func(signer int, header, payload string) { f.Add(uint8(signer), header, payload, uint16(0), byte(0)) }
	for i, header := range headers {
		if !fuzzing() || i%3 == 0 {
			add(0, header, goodPayload)
		}
	}
	for i, payload := range payloads() {
		if !fuzzing() || i%6 == 0 {
			add(0, `{"alg":"HS256"}`, payload)
		}
	}
	for i, signer := range signers {
		name, _, _ := strings.Cut(signer.name, " ")
		add(i, `{"alg":"`+name+`"}`, goodPayload)
		for j := 0; j < 4 && !fuzzing(); j++ { // confused algorithms
			add(i, `{"alg":"`+signers[j].name+`"}`, goodPayload)
		}
		add(i, `{"alg":"none"}`, goodPayload)
	}
	for i := range uint16(40) {
		f.Add(uint8(i%4), `{"alg":"`+signers[i%4].name+`"}`, goodPayload, i, byte(1+i))
	}
	golangJWT := namedDifferences(tokenDifferences()...)
	goJose := namedDifferences(append(tokenDifferences(), goJoseDifferences()...)...)
	f.Fuzz(func(t *testing.T, signer uint8, header, payload string, at uint16, flip byte) {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(payload))
		signature := signers[int(signer)%len(signers)].sign(text)
		if len(signature) > 0 {
			signature[int(at)%len(signature)] ^= flip
		}
		compareToken(t, golangJWT, goJose, text+"."+base64.RawURLEncoding.EncodeToString(signature))
	})
	golangJWT.check(f)
	goJose.check(f)
}

// FuzzTokenText: a token has one form, and neither reference takes one that usher takes and
// they read otherwise.
func FuzzTokenText(f *testing.F) {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(goodPayload, "ann", "ann??>>~~", 1)))
	signature := base64.RawURLEncoding.EncodeToString(signed(jwt.SigningMethodHS256, text, hmacSecret))
	good := text + "." + signature
	parts := strings.Split(good, ".")
	last := func(to string) string { return good[:len(good)-1] + to }
	for _, token := range []string{
		good, "", ".", "..", "...", text, text + ".", "." + good, good + ".", good + ".x",
		good + "." + good, parts[0] + ".." + parts[2], "." + parts[1] + "." + parts[2],
		parts[1] + "." + parts[0] + "." + parts[2],
		good + "=", good + "==", strings.Replace(good, ".", "=.", 1),
		strings.Replace(good, ".", "==.", 2), good + "\n", "\n" + good, good + "\r\n",
		good[:9] + "\n" + good[9:], good[:9] + "\r" + good[9:],
		good[:len(good)-5] + "\n" + good[len(good)-5:],
		good + " ", " " + good, "\t" + good, good[:9] + " " + good[9:], good + "\x00",
		good + "\u00a0", "Bearer " + good, "\"" + good + "\"",
		strings.NewReplacer("-", "+", "_", "/").Replace(good),
		strings.NewReplacer("-", "%2D").Replace(good),
		strings.ToLower(good), strings.ToUpper(good), good[1:], good[:len(good)-1], last("A"),
		last("B"), last("C"), last("D"), last("8"), last("9"), last("_"), good + "A", good + "AA",
		strings.Replace(good, ".", "A.", 1), strings.Replace(good, ".", ".A", 1),
		strings.Replace(good, ".", "\u2024", 1), strings.Replace(good, ".", ",", 2),
		`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		`{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		good + "." + parts[1] + "." + parts[2], strings.Repeat(".", 9000),
		strings.Repeat("A", 9000) + "." + parts[1] + "." + parts[2],
	} {
		f.Add(token)
	}
	encoding := func() *differences[askedToken] {
		return namedDifferences(refuses(
			"another encoding", "any encoding of its parts but base64url (RFC 7515 §2) without padding",
			func(a askedToken) bool {
				for part := range strings.SplitSeq(a.token, ".") {
					raw, err := base64.RawURLEncoding.DecodeString(part)
					if err != nil || base64.RawURLEncoding.EncodeToString(raw) != part {
						return true
					}
				}
				return false
			},
		))
	}
	golangJWT, goJose := encoding(), encoding()
	f.Fuzz(func(t *testing.T, token string) { compareToken(t, golangJWT, goJose, token) })
	golangJWT.check(f)
	goJose.check(f)
}
