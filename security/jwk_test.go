package security

import (
	"testing"
)

// FuzzJWKS: whatever an endpoint answers, what is read of it can verify and is strong enough, and
// there is a short reason for what is not read.
func FuzzJWKS(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`,
		`{"keys":[{"kty":"oct","k":"AQAB"},null,7,{"kty":"RSA","d":1}]}`, `[]`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, passedOver, err := parseJWKS(raw)
		if err == nil && len(keys) == 0 || err != nil && keys != nil {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			if fact, _ := k.weakness(); fact != "" || k.algorithm[0] == 'H' {
				t.Errorf("%v %s", k, fact)
			}
		}
		if len(passedOver) > maxPassedOver {
			t.Errorf("%d are named", len(passedOver))
		}
		for name, why := range passedOver {
			if why == "" || len(why) > 300 || len(name) > 420 || !printable(name+why) {
				t.Errorf("%q: %q", name, why)
			}
		}
	})
}
