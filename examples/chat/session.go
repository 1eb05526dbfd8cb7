package main

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"example.com/usher/wsroute"
)

var errSignedOut = errors.New("the token is of before the account signed out")

// Sessions counts how often each account has signed out. A token has the count of the time when
// it was signed; a token with an earlier count is refused. The counts end with the process: a
// real program stores them with its accounts.
type Sessions struct {
	mu   sync.Mutex
	outs map[string]int
}

// Count returns how often an account has signed out.
func (s *Sessions) Count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outs[name]
}

// SignOut makes all earlier tokens of the account invalid.
func (s *Sessions) SignOut(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outs == nil {
		s.outs = map[string]int{}
	}
	s.outs[name]++
}

// session answers requests with a token: POST /renew with a new token, and POST /logout by
// ending all sessions of the account.
type session struct {
	guide    guide
	issuer   tokenIssuer
	sessions *Sessions
	revoke   func(context.Context, wsroute.Revocation) (ended int, err error)
}

func (s session) serve(engine *gin.Engine) {
	engine.POST("/renew", s.guide.guard, s.renew)
	engine.POST("/logout", s.guide.guard, s.logout)
}

func (s session) renew(c *gin.Context) {
	s.issuer.answer(c, User{c.GetString(subject)})
}

// logout first lets the providers refuse the account's tokens, then ends its connections: in
// the other order one could open in between.
func (s session) logout(c *gin.Context) {
	name := c.GetString(subject)
	s.sessions.SignOut(name)
	if _, err := s.revoke(c.Request.Context(), wsroute.Revocation{Issuer: issuer, Subject: name}); err != nil {
		_ = c.AbortWithError(http.StatusInternalServerError, err)
		return
	}
	c.Status(http.StatusNoContent)
}
