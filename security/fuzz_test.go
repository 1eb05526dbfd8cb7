package security_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/security"
)

// FuzzAuthenticate signs whatever it is given as header and payload, and hands
// the token over with a tail. Nothing panics, no refusal shows what it should
// not, and nothing is accepted that independently refuses.
func FuzzAuthenticate(f *testing.F) {
	payload := `{"iss":"https://login.example","aud":"chat","sub":"ann","exp":99999999999}`
	for _, header := range []string{
		`{"alg":"HS256"}`, `{"alg":"HS256","kid":"k1","typ":"JWT"}`, `{"alg":"none"}`, `{"alg":"HS256","crit":[]}`,
		`{"alg":"HS256","\u0061lg":"none"}`, `{"alg":"HS256","b64":false}`, `{"ALG":"HS256"}`, `null`, `{`,
	} {
		f.Add(header, payload, "")
	}
	for _, p := range []string{
		`{"iss":"https://login.example","aud":["x","chat"],"sub":"ann","exp":9e9,"nbf":0,"iat":1}`,
		`{"iss":"https://login.example","aud":"chat","sub":"ann","exp":1e300}`,
		`{"iss":"https://login.example","aud":"chat","sub":"ann","SUB":"root","exp":99999999999}`,
		`{"iss":"https://login.example","aud":"chat","sub":"ann","\u0065xp":1,"exp":99999999999}`,
		`{"x":{"a":[{"}":"]"}]},"iss":"https://login.example","aud":"chat","sub":"a\"b","exp":99999999999}`,
		`[]`, `null`, `{"a":`, `{"\`, payload + payload,
	} {
		f.Add(`{"alg":"HS256"}`, p, "")
	}
	f.Add(`{"alg":"HS256"}`, payload, "\n")
	f.Add(`{"alg":"HS256"}`, payload, ".x")

	j := config()
	j.Keys = []security.Key{security.HS256(secret), security.HS256(secret).WithID("k1")}
	scheme := security.Ready[Claims](j)
	f.Fuzz(func(t *testing.T, header, payload, tail string) {
		_ = security.CheckClaimMembers([]byte(payload))
		for _, token := range []string{seal(jwt.SigningMethodHS256, secret, header, payload) + tail, payload, tail} {
			claims, err := authenticate(scheme, token)
			why := independently(token, time.Now())
			switch {
			case err == nil && why != nil:
				t.Errorf("accepted %q, though %v", token, why)
			case err == nil && claims.Subject == "":
				t.Errorf("accepted %q without a subject", token)
			case err != nil:
				assertLoggable(t, err, token)
			}
		}
	})
}

// independently checks an HS256 token with nothing but the standard library, in
// the plainest way, and says why it must be refused.
func independently(token string, now time.Time) error {
	if len(token) > 8192 || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" ||
		strings.ContainsAny(token, "\r\n") {
		return fmt.Errorf("its length or its characters are wrong")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("it has %d parts", len(parts))
	}
	var raw [3][]byte
	for i, p := range parts {
		data, err := base64.RawURLEncoding.DecodeString(p)
		if err != nil || base64.RawURLEncoding.EncodeToString(data) != p {
			return fmt.Errorf("part %d is not canonical base64url", i)
		}
		raw[i] = data
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if !hmac.Equal(mac.Sum(nil), raw[2]) {
		return fmt.Errorf("the signature is wrong")
	}
	header, err := objectOf(raw[0])
	if err != nil {
		return err
	}
	claims, err := objectOf(raw[1])
	if err != nil {
		return err
	}
	if err := headerProblem(header); err != nil {
		return err
	}
	return claimsProblem(claims, now)
}

// objectOf decodes one JSON object, whose names differ by more than case.
func objectOf(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("no object: %w", err)
	}
	object := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		for other := range object {
			if strings.EqualFold(other, name.(string)) {
				return nil, fmt.Errorf("%q is there as %q", name, other)
			}
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		object[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more behind: %w", err)
	}
	for name := range object {
		for _, known := range []string{"alg", "kid", "typ", "crit", "b64", "iss", "sub", "aud", "exp", "nbf", "iat"} {
			if name != known && strings.EqualFold(name, known) && (object["alg"] != nil) == slices.Contains([]string{"alg", "kid", "typ", "crit", "b64"}, known) {
				return nil, fmt.Errorf("%q is nearly %q", name, known)
			}
		}
	}
	return object, nil
}

func headerProblem(header map[string]any) error {
	kid, named := header["kid"]
	typ, typed := header["typ"]
	_, crit := header["crit"]
	_, b64 := header["b64"]
	text, _ := typ.(string)
	switch {
	case header["alg"] != "HS256":
		return fmt.Errorf("alg is %v", header["alg"])
	case named && kid != "k1":
		return fmt.Errorf("kid is %v", kid)
	case crit || b64:
		return fmt.Errorf("it has extensions")
	case typed && !slices.Contains([]string{"jwt", "at+jwt", "application/jwt", "application/at+jwt"}, strings.ToLower(text)):
		return fmt.Errorf("typ is %v", typ)
	}
	return nil
}

func claimsProblem(claims map[string]any, now time.Time) error {
	date := func(name string) (float64, bool, error) {
		value, present := claims[name]
		if !present {
			return 0, false, nil
		}
		n, ok := value.(json.Number)
		if !ok {
			return 0, true, fmt.Errorf("%s is a %T", name, value)
		}
		f, err := n.Float64()
		if err == nil && (f <= -1 || f >= 253402300800) {
			err = fmt.Errorf("%s is %v", name, n)
		}
		return f, true, err
	}
	const leeway = 30
	at := float64(now.Unix())
	for name, refused := range map[string]func(float64, bool) bool{
		"exp": func(f float64, present bool) bool { return !present || at >= f+leeway },
		"nbf": func(f float64, present bool) bool { return present && at < f-leeway-2 },
		"iat": func(f float64, present bool) bool { return present && at < f-leeway-2 },
	} {
		if f, present, err := date(name); err != nil || refused(f, present) {
			return fmt.Errorf("%s is %v, %w", name, claims[name], err)
		}
	}
	meant := claims["aud"] == audience
	if several, ok := claims["aud"].([]any); ok {
		meant = slices.Contains(several, any(audience))
	}
	sub, _ := claims["sub"].(string)
	if claims["iss"] != issuer || !meant || sub == "" {
		return fmt.Errorf("iss is %v, aud %v, sub %v", claims["iss"], claims["aud"], claims["sub"])
	}
	return nil
}
