package main

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// guide tells signed-in users who is where: GET /rooms lists the rooms with members.
type guide struct {
	rooms    *Rooms
	accounts Accounts
	sessions *Sessions
	scheme   security.JWT[Claims]
}

func (g guide) serve(engine *gin.Engine) {
	engine.GET("/rooms", g.guard, func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"rooms": g.rooms.List()})
	})
}

// subject is the key under which guard leaves the name of the user.
const subject = "subject"

// guard lets requests pass that have a token in the header, as a WebSocket may too.
func (g guide) guard(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	claims, err := g.claims(c.Request)
	c.Set(subject, claims.Subject)
	if err != nil {
		var r *depends.Rejection
		if !errors.As(err, &r) {
			r = &depends.Rejection{Status: http.StatusInternalServerError, Reason: "internal_error"}
		}
		r.ServeHTTP(c.Writer, c.Request)
		c.Abort()
	}
}

// claims returns the claims of a token whose user still has an account.
func (g guide) claims(r *http.Request) (Claims, error) {
	claims, err := security.Authenticate(r, security.Scheme[Claims](g.scheme))
	if err == nil {
		_, err = currentUser(r.Context(), userInput{claims, g.accounts, g.sessions})
	}
	return claims, err
}
