package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// guide tells those who are signed in who is where: GET /rooms lists the rooms
// that somebody is in, GET /rooms/:room describes one. The page asks it, since a
// member of a room is sent what people say and nothing else.
type guide struct {
	rooms    *Rooms
	accounts Accounts
	scheme   security.JWT[Claims]
}

func (g guide) serve(engine *gin.Engine) {
	engine.GET("/rooms", g.guard, func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"rooms": g.rooms.List()})
	})
	engine.GET("/rooms/:room", g.guard, func(c *gin.Context) {
		c.JSON(http.StatusOK, g.rooms.Look(c.Param("room")))
	})
}

// guard lets those pass who show a token in the header, as a WebSocket may too.
// The answer to the others is like that of wsroute.
func (g guide) guard(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	err := g.admit(c.Request.Context(), c.Request.Header.Values("Authorization"))
	if err == nil {
		return
	}
	status, reason := http.StatusInternalServerError, "internal_error"
	var r *depends.Rejection
	if errors.As(err, &r) {
		status, reason = r.Status, r.Reason
		c.Header("WWW-Authenticate", r.Header.Get("WWW-Authenticate"))
	}
	c.Header("Content-Type", "application/problem+json") // c.JSON keeps it
	c.AbortWithStatusJSON(status, gin.H{"type": "about:blank", "title": http.StatusText(status), "status": status, "reason": reason})
}

// admit returns nil if the one Authorization header has the token of a user.
func (g guide) admit(ctx context.Context, headers []string) error {
	source := security.BearerHeader()
	if len(headers) != 1 {
		return credentialsRequired()
	}
	prefix, token, ok := strings.Cut(headers[0], " ")
	if !ok || !strings.EqualFold(prefix, source.Prefix) {
		return credentialsRequired()
	}
	claims, err := g.scheme.Authenticate(ctx, depends.Credential{Source: source, Value: strings.TrimSpace(token)})
	if err != nil {
		return err
	}
	_, err = currentUser(ctx, userInput{claims, g.accounts})
	return err
}

func credentialsRequired() error {
	r := depends.Unauthorized("Bearer", nil)
	r.Reason = "credentials_required"
	return r
}
