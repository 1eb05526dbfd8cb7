package wsroute_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestACookieThatGinHasEscaped: a credential that is refused because it was written down in another
// spelling than the program's is explained by the log, which does not show it.
func TestACookieThatGinHasEscaped(t *testing.T) {
	var out safeBuffer
	deps := depends.New()
	security.Use(deps, security.Scheme[member](security.Session[member]{Cookie: "sid", Find: func(_ context.Context, id string) (member, error) {
		if id != "a+b/c" && id != "plain" {
			return member{}, depends.ErrAbsent
		}
		return member{id}, nil
	}}))
	ws := wsroute.New(deps, &wsroute.Config{Logger: textLogger(&out)})
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ member }) error { return nil })
	engine := gin.New()
	engine.GET("/gin", func(c *gin.Context) { c.SetCookie("sid", c.Query("id"), 60, "/", "", true, true) })
	engine.GET("/http", func(c *gin.Context) { http.SetCookie(c.Writer, &http.Cookie{Name: "sid", Value: c.Query("id")}) })
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	for _, test := range []struct {
		login  string
		status int
		hint   bool
	}{
		{"/gin?id=a%2Bb/c", 401, true},
		{"/gin?id=a%3Db", 401, true},
		{"/gin?id=%C3%A9", 401, true},
		{"/http?id=a%2Bb/c", 101, false},
		{"/gin?id=plain", 101, false},
		{"/http?id=a-b", 401, false},
		{"/http?id=50%25", 401, false},
		{"/http?id=a%2Bb", 401, false},
	} {
		before := len(out.String())
		cookie, _, _ := strings.Cut(wstest.Get(t, srv, test.login).Header.Get("Set-Cookie"), ";")
		status := opened(t, srv, "/ws", headers{"Cookie": cookie, "Origin": "http://localhost"})
		log := out.String()[before:]
		if hint := strings.Contains(log, "as by gin's c.SetCookie"); status != test.status || hint != test.hint || strings.Contains(log, "a%2B") {
			t.Errorf("%s, %s: %d, want %d: %s", test.login, cookie, status, test.status, log)
		}
	}
}
