package security_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
)

type (
	v4          struct{ Claims }
	withContext struct{ Claims }
	returnsBool struct{ Claims }
	returnsOwn  struct{ Claims }
	variadic    struct{ Claims }
	v4Pointer   struct{ Claims }
	promotedV4  struct{ v4 }
	promotedPtr struct{ *v4Pointer2 }
	v4Pointer2  struct{ Claims }
	checkA      struct{}
	checkB      struct{}
	hiddenByTwo struct {
		Claims
		checkA
		checkB
	}
	hiddenByField struct {
		Claims
		checkA
		Validate bool
	}
	v4AboveV5 struct {
		Claims
		checkA
	}
	promotedCheck struct {
		Claims
		checkA
	}
	ownCheck struct {
		Claims
		checkA
		checkB
	}
	mapV4       jwt.MapClaims
	namedFields struct {
		Claims
		A checkA // the methods of fields with a name are not those of the claims
		B *checkB
	}
)

func (v4) Valid() error                                    { return errNotAnn }
func (*v4Pointer) Valid() error                            { return errNotAnn }
func (*v4Pointer2) Valid() error                           { return errNotAnn }
func (withContext) Validate(context.Context) error         { return errNotAnn }
func (*returnsBool) Validate() bool                        { return false }
func (returnsOwn) Validate() *depends.Rejection            { return nil }
func (variadic) Validate(...any) error                     { return errNotAnn }
func (checkA) Validate() error                             { return errNotAnn }
func (*checkB) Validate() error                            { return errNotAnn }
func (v4AboveV5) Valid() error                             { return errNotAnn }
func (*ownCheck) Validate() error                          { return errNotAnn }
func (mapV4) Valid() error                                 { return errNotAnn }
func (mapV4) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (mapV4) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (mapV4) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (mapV4) GetIssuer() (string, error)                   { return "", nil }
func (mapV4) GetSubject() (string, error)                  { return "", nil }
func (mapV4) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// TestChecksThatNothingCalls. The kind: a method of the claims that looks like golang-jwt's
// check, and is none for its name, its signature, or the way in which it is embedded.
func TestChecksThatNothingCalls(t *testing.T) {
	uncalled[v4](t, "Valid of security_test.v4")
	uncalled[*v4](t, "Valid of security_test.v4")
	uncalled[v4Pointer](t, "Valid of security_test.v4Pointer")
	uncalled[promotedV4](t, "Valid of security_test.promotedV4")
	uncalled[promotedPtr](t, "Valid of security_test.promotedPtr")
	uncalled[mapV4](t, "Valid of security_test.mapV4")
	uncalled[v4AboveV5](t, "Valid of security_test.v4AboveV5")
	uncalled[withContext](t, "Validate of security_test.withContext")
	uncalled[returnsBool](t, "Validate of security_test.returnsBool")
	uncalled[returnsOwn](t, "Validate of security_test.returnsOwn")
	uncalled[variadic](t, "Validate of security_test.variadic")
	uncalled[hiddenByTwo](t, "Validate of security_test.hiddenByTwo")
	uncalled[hiddenByField](t, "Validate of security_test.hiddenByField")
	called[strict](t)
	called[*strict](t)
	called[promotedCheck](t)
	called[*promotedCheck](t)
	called[ownCheck](t)
	claimsFaults[namedFields](t, "")
}

func uncalled[C any](t *testing.T, method string) {
	t.Helper()
	claimsFaults[C](t, "JWT["+reflect.TypeFor[C]().String()+"]: nothing calls the method "+method+
		" | what is called is Validate() error: make it that, give it another name, or take the claims in a provider that checks them")
}

// called checks that a C starts, and that its check refuses.
func called[C any](t *testing.T) {
	t.Helper()
	j := security.JWT[C]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}
	if claims, err := authenticate(prepared(t, j), mint(nil, object{"name": "Bob"})); err == nil {
		t.Errorf("%T: accepted", claims)
	}
}
