package wsroute_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-playground/validator/v10"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestOnUpgrade: the 101 has what middleware and the program say, and nothing
// that would break the handshake.
func TestOnUpgrade(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	config := quiet()
	config.OnUpgrade = func(r *http.Request, header http.Header) {
		if r.URL.Query().Has("token") {
			t.Errorf("it sees the token: %v", r.URL)
		}
		switch r.URL.Query().Get("mode") {
		case "cookie":
			header.Add("Set-Cookie", (&http.Cookie{Name: "seen", Value: "1", HttpOnly: true}).String())
			header.Del("X-Private")
		case "accept":
			header.Set("Sec-WebSocket-Accept", "mine")
		case "name":
			header["X-A\r\nX-B"] = []string{"c"}
		case "value":
			header.Set("X-A", "b\r\nX-Injected: c")
		case "panic":
			panic("secret")
		}
	}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil })
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		c.Header("X-Private", "1")
		c.Header("Content-Type", "text/html")
	})
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	for mode, want := range map[string]string{"": "1", "cookie": "", "value": "1"} {
		peer := wstest.Dial[string, string](t, srv, "/?token=x&mode="+mode)
		h := peer.Response.Header
		if h.Get("X-Private") != want || h.Get("Content-Type") != "" || h.Get("X-Injected") != "" || (h.Get("Set-Cookie") != "") != (mode == "cookie") {
			t.Errorf("%s: %v", mode, h)
		}
	}
	for _, mode := range []string{"accept", "name", "panic"} {
		if r := wstest.Refused(t, srv, "/?token=x&mode="+mode); r.Status != 500 || r.Problem.Reason != "internal_error" {
			t.Errorf("%s: %d %s", mode, r.Status, r.Body)
		}
	}
}

var errTired = errors.New("tired")

func mapError(err error) *depends.Rejection {
	var r *depends.Rejection
	var m *wsroute.MessageError
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return depends.NotFound("no_such_room", err)
	case errors.Is(err, errTired):
		return &depends.Rejection{CloseCode: 4100, Reason: "mine"}
	case errors.As(err, &m):
		return &depends.Rejection{CloseCode: 4200, Reason: m.Reason}
	case errors.As(err, &r) && r.Status == 401:
		return &depends.Rejection{Status: 418, Title: "custom"}
	case errors.Is(err, context.Canceled):
		panic("in MapError")
	}
	return nil
}

// TestMapError: the program's own errors, before the upgrade and after it.
func TestMapError(t *testing.T) {
	config := quiet()
	config.MapError = mapError
	causes := map[string]error{
		"rows": fmt.Errorf("room: %w", sql.ErrNoRows), "tired": errors.Join(errors.New("x"), errTired), "auth": depends.Unauthorized("Bearer", nil),
		"other": errors.New("secret"), "panic": context.Canceled, "forbidden": depends.Forbidden("f", nil),
	}
	deps := depends.New()
	depends.Provide(deps, func(_ context.Context, in struct {
		Fail string `query:"fail" default:""`
	},
	) (gate, error) {
		if in.Fail == "paniced" {
			panic(sql.ErrNoRows)
		}
		return gate{}, causes[in.Fail]
	})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[say, string], in struct {
		_    gate
		Late string `query:"late" default:""`
		N    int    `query:"n" default:"0"`
	},
	) error {
		if in.Late == "message" {
			_, err := conn.Receive(ctx)
			return err
		}
		return causes[in.Late]
	})
	srv := wstest.Start(t, ws)
	for query, want := range map[string]string{
		"fail=rows": "404 no_such_room", "fail=tired": "500 mine", "fail=auth": "418 ", "fail=other": "500 internal_error",
		"fail=panic": "500 internal_error", "fail=forbidden": "403 f", "fail=paniced": "500 internal_error", "n=x": "422 invalid_parameters",
	} {
		if r := wstest.Refused(t, srv, "/?"+query); fmt.Sprint(r.Status, " ", r.Problem.Reason) != want {
			t.Errorf("%s: got %d %s, want %s", query, r.Status, r.Problem.Reason, want)
		}
	}
	for late, want := range map[string]wsroute.CloseError{
		"rows": {Code: 1008, Reason: "no_such_room"}, "tired": {Code: 4100, Reason: "mine"}, "auth": {Code: 1008}, "other": {Code: 1011},
		"panic": {Code: 1011}, "message": {Code: 4200, Reason: "invalid_json"},
	} {
		peer := wstest.Dial[string, string](t, srv, "/?late="+late)
		peer.Send("{")
		if got := peer.Closed(); *got != want {
			t.Errorf("%s: got %v, want %v", late, got, want)
		}
	}
}

// TestAValidatorOfTheProgram: a validator with a custom rule, for parameters and
// messages.
func TestAValidatorOfTheProgram(t *testing.T) {
	v := validator.New(validator.WithRequiredStructEnabled())
	if err := v.RegisterValidation("even", func(f validator.FieldLevel) bool { return f.Field().Int()%2 == 0 }); err != nil {
		t.Fatal(err)
	}
	type number struct {
		N int `json:"n" validate:"even"`
	}
	ws := wsroute.New(depends.New(depends.Validator(v)), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[number, number], _ struct {
		N int `query:"n" validate:"even"`
	},
	) error {
		_, err := conn.Receive(ctx)
		return err
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	if r := wstest.Refused(t, srv, "/?n=3"); r.Status != 422 || len(r.Problem.Errors) != 1 || r.Problem.Errors[0].Code != "even" {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
	peer := wstest.Dial[string, string](t, srv, "/?n=2")
	peer.Send(`{"n":3}`)
	if got := peer.Closed(); got.Code != 1008 {
		t.Errorf("got %v", got)
	}
}
