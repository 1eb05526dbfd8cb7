package security

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// Basic authenticates with a name and a password (RFC 7617) in the Authorization header.
// It is for programs: a page cannot set them for a WebSocket. A browser that has asked its
// user for them once adds them to the requests of every page, as it adds cookies; wsroute
// refuses those by their Origin.
//
// Every bad credential, a malformed one too, is refused with the same 401
// "invalid_credentials". It is safe for concurrent use if Verify is.
type Basic[T any] struct {
	// Realm is named in the challenge: printable ASCII. Required.
	Realm string

	// Verify returns the owner of a name and a password. It should take as long
	// for an unknown name as for a wrong password, for instance by comparing with
	// a fixed hash. It returns depends.ErrAbsent, or an error that wraps it, if
	// one of them is wrong. Required.
	Verify func(ctx context.Context, name, password string) (T, error)

	// AllowZero says that Verify may return the zero T without an error. By default, that
	// is a 500.
	AllowZero bool
}

// Describe implements [Scheme].
func (b Basic[T]) Describe() depends.Scheme {
	var f faults
	f.addIf(b.Realm == "" || !printable(b.Realm),
		"Basic names no Realm that can stand in a header", "set Realm to printable ASCII")
	f.addIf(b.Verify == nil,
		"Basic has no Verify", "set Verify to the check of a name and a password")
	source := depends.Source{In: "header", Name: "Authorization", Prefix: "Basic"}
	return depends.Scheme{
		Name: "Basic", Sources: []depends.Source{source}, Challenge: b.challenge(),
		Faults: f, AllowZero: b.AllowZero, Refuses: refuses("invalid_credentials"),
	}
}

func (b Basic[T]) challenge() string {
	return "Basic realm=" + strconv.Quote(b.Realm) + `, charset="UTF-8"`
}

// Authenticate implements [Scheme]. A credential is base64 of name:password.
func (b Basic[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	var owner T
	raw, err := base64.StdEncoding.DecodeString(c.Value)
	name, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || !utf8.Valid(raw) {
		err = depends.ErrAbsent
	} else {
		owner, err = b.Verify(ctx, name, password)
	}
	return owner, bind.RefuseUnknown(err, b.challenge(), "invalid_credentials")
}
