package main

import (
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestSignIn(t *testing.T) {
	accounts := demoAccounts()
	for _, tt := range []struct {
		name, password string
		ok             bool
	}{
		{"alice", "wonderland", true},
		{"bob", "builder", true},
		{"carol", "teaparty", true},
		{"alice", "builder", false},
		{"Alice", "wonderland", false},
		{"ghost", "", false},
	} {
		user, err := accounts.SignIn(tt.name, tt.password)
		if (err == nil) != tt.ok || tt.ok != (user.Name == tt.name) {
			t.Errorf("%s with %q: got %v, %v, want ok: %t", tt.name, tt.password, user, err, tt.ok)
		}
	}
}

// The time that a refusal takes is the cost of the hash.
func TestDecoyCostsTheSame(t *testing.T) {
	want, err := bcrypt.Cost([]byte(decoy))
	if err != nil {
		t.Fatal(err)
	}
	for name, account := range demoAccounts() {
		if got, err := bcrypt.Cost([]byte(account.Password)); err != nil || got != want {
			t.Errorf("the hash of %s costs %d (%v), the decoy %d", name, got, err, want)
		}
	}
}
