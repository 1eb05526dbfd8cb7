package security_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// Robot is a caller that shows a key in the header X-Api-Key.
type Robot struct{ Name string }

// robotKeys holds the robots by the hash of their keys. A look-up by hash tells
// by its duration nothing of a key, and the keys themselves are nowhere.
type robotKeys map[[sha256.Size]byte]Robot

func (robotKeys) Describe() depends.Scheme {
	return depends.Scheme{
		Name:      "RobotKey",
		Sources:   []depends.Source{{In: "header", Name: "X-Api-Key"}},
		Challenge: "ApiKey",
	}
}

func (k robotKeys) Authenticate(_ context.Context, key depends.Credential) (Robot, error) {
	robot, known := k[sha256.Sum256([]byte(key.Value))]
	if !known {
		return Robot{}, depends.Unauthorized("ApiKey", errors.New("unknown key"))
	}
	return robot, nil
}

// A scheme of one's own: two methods, and every handler can ask for a Robot.
func ExampleScheme() {
	robots := robotKeys{sha256.Sum256([]byte("a long random key")): {"mower"}}
	security.Use(depends.New(), robots)

	for _, key := range []string{"a long random key", "a guess"} {
		robot, err := robots.Authenticate(context.Background(), depends.Credential{Value: key})
		fmt.Printf("%q %v\n", robot.Name, err)
	}
	// Output:
	// "mower" <nil>
	// "" 401 unauthorized: unknown key
}

// Two issuers, each with keys and claims of its own, in one header: the iss of a token
// chooses the scheme that verifies it.
func ExampleOneOf() {
	robots, members := []byte("the secret of the robots' issuer"), []byte("the secret of the members' login")
	name := func(_ context.Context, m Member) (Robot, error) { return Robot{m.Subject}, nil }
	scheme := security.OneOf(
		security.As(security.Scheme[Member](security.JWT[Member]{
			Keys: []security.Key{security.HS256(robots)}, Issuer: "https://robots.example", Audience: "chat",
		}), name),
		security.As(security.Scheme[Member](security.JWT[Member]{
			Keys: []security.Key{security.HS256(members)}, Audiences: []string{"chat", "chat-beta"},
			Issuers: []string{"https://login.example", "https://old-login.example"},
		}), name),
	)
	security.Use(depends.New(), scheme)
	fmt.Println(scheme.Describe().Name, len(scheme.Describe().Faults), "faults")
	// Output:
	// JWT or JWT 0 faults
}
