package main

import (
	"context"
	"errors"

	"golang.org/x/crypto/bcrypt"

	"example.com/usher/depends"
)

// User is somebody who has signed in.
type User struct{ Name string }

// Accounts are the accounts by the names of their users.
type Accounts map[string]Account

// Account is what the server knows of a user.
type Account struct {
	Password string // its bcrypt hash
	Scope    string // of the user's tokens, with spaces between several
}

// demoAccounts have the passwords "wonderland", "builder" and "teaparty".
func demoAccounts() Accounts {
	return Accounts{
		"alice": {"$2a$10$NVJiWcbIel50jKEQzkGY4OenItM7R6FltAI0CQiOxnizXcWkXs1p6", ""},
		"bob":   {"$2a$10$jPIAu8tfSAL8K56/3/qAaeDOilMTTOhRGAKbKYqqDkBC6zlzejzCW", ""},
		"carol": {"$2a$10$k52BdtzArfEybcD.nIGISeCnIlezgDYE480Q6czaJUoTfX4z0QfQ6", "rooms:admin"},
	}
}

// decoy is the hash of a password that nobody knows, with the cost of the accounts' hashes.
const decoy = "$2a$10$E9cy0XvvB9J4Pne8jJnCDOX3x4dS1rFj597mvfrCFnmvSKWrZN6Me"

var errSignIn = errors.New("no such user, or not the password")

// SignIn returns the user of a name and a password. An unknown name takes as much time as a wrong
// password, so that the answer does not tell which it was.
func (a Accounts) SignIn(name, password string) (User, error) {
	account, known := a[name]
	hash := account.Password
	if !known {
		hash = decoy
	}
	if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)); err != nil || !known {
		return User{}, errSignIn
	}
	return User{name}, nil
}

type userInput struct {
	Claims   Claims
	Accounts Accounts
	Sessions *Sessions
}

// currentUser provides the user of a token. A good token may outlive its account.
func currentUser(_ context.Context, in userInput) (User, error) {
	name := in.Claims.Subject
	if _, known := in.Accounts[name]; !known {
		return User{}, depends.Unauthorized(`Bearer error="invalid_token"`, errors.New("the token's subject has no account"))
	}
	if in.Claims.SignOuts != in.Sessions.Count(name) {
		return User{}, depends.Unauthorized(`Bearer error="invalid_token"`, errSignedOut)
	}
	return User{name}, nil
}
