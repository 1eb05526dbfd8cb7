package wsroute_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-playground/validator/v10"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// renewed is the provider that sets headers of the answer, as a query says.
type renewed struct{}

func renew(ctx context.Context, in struct {
	_    who
	Mode string `query:"mode" default:""`
},
) (renewed, error) {
	header := depends.ResponseHeader(ctx)
	header.Add("Set-Cookie", "sid=new")
	switch in.Mode {
	case "again":
		depends.ResponseHeader(ctx).Add("Set-Cookie", "sid=newer")
	case "del":
		header.Del("X-Private")
	case "set":
		header.Set("X-Private", "2")
	case "refuse":
		return renewed{}, depends.Forbidden("no", nil)
	case "accept":
		header.Set("Sec-WebSocket-Accept", "mine")
	case "length":
		header.Set("Content-Length", "7")
	case "type":
		header.Set("Content-Type", "text/html")
	case "lower":
		header["connection"] = []string{"close"}
	case "name":
		header["X-A\r\nX-B"] = []string{"c"}
	case "value":
		header.Set("X-A", "b\r\nX-Injected: c")
	}
	return renewed{}, nil
}

// TestResponseHeader: what providers say of the answer's header is on the 101 and on a plain
// answer, beside what middleware has set; on a refusal it is not, and what is the protocol's own
// cannot be said.
func TestResponseHeader(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	depends.Provide(deps, renew)
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		depends.ResponseHeader(ctx).Add("Set-Cookie", "gate=1")
		return gate{}, nil
	}, depends.Handshake)
	ws := wsroute.New(deps, quiet())
	type in struct {
		_ gate
		R renewed
	}
	wsroute.Handle(ws, "/ws", func(ctx context.Context, _ *wsroute.Conn[string, string], _ in) error {
		depends.ResponseHeader(ctx).Set("X-Late", "1") // to nobody
		return nil
	})
	wsroute.HandleHTTP(ws, http.MethodGet, "/plain", func(w http.ResponseWriter, _ *http.Request, _ in) error {
		w.Header().Add("Set-Cookie", "plain=1")
		w.WriteHeader(http.StatusAccepted)
		return nil
	})
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		c.Header("X-Private", "1")
		c.Header("Content-Type", "text/html")
		c.Writer.Header().Add("Set-Cookie", "mine=1")
		c.Writer.Header().Add("Set-Cookie", "ours=1")
	})
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	const cookies = "mine=1 ours=1 gate=1 sid=new"
	for mode, want := range map[string][2]string{
		"": {cookies, "1"}, "again": {cookies + " sid=newer", "1"}, "del": {cookies, ""}, "set": {cookies, "2"}, "value": {cookies, "1"},
	} {
		peer := wstest.Dial[string, string](t, srv, "/ws?token=x&mode="+mode)
		h := peer.Response.Header
		if got := strings.Join(h["Set-Cookie"], " "); got != want[0] || h.Get("X-Private") != want[1] || h.Get("Content-Type") != "" || h.Get("X-Injected") != "" {
			t.Errorf("%s: %v", mode, h)
		}
		plain := wstest.Get(t, srv, "/plain?token=x&mode="+mode)
		h = plain.Header
		if got := strings.Join(h["Set-Cookie"], " "); plain.Status != 202 || got != want[0]+" plain=1" || h.Get("X-Private") != want[1] || h.Get("X-Injected") != "" {
			t.Errorf("%s: %d %v", mode, plain.Status, h)
		}
	}
	for mode, want := range map[string]string{
		"refuse": "403 no", "accept": "500 internal_error", "length": "500 internal_error", "type": "500 internal_error",
		"lower": "500 internal_error", "name": "500 internal_error",
	} {
		socket, plain := wstest.Refused(t, srv, "/ws?token=x&mode="+mode), wstest.Get(t, srv, "/plain?token=x&mode="+mode)
		for _, r := range []*wstest.Refusal{socket, plain} {
			if got := fmt.Sprint(r.Status, " ", r.Problem.Reason); got != want || strings.Join(r.Header["Set-Cookie"], " ") != "mine=1 ours=1" {
				t.Errorf("%s: %s %v", mode, got, r.Header)
			}
		}
	}
}

// TestResponseHeaderInAUnitTest shows what the provider has set; elsewhere nobody sees it.
func TestResponseHeaderInAUnitTest(t *testing.T) {
	ctx := wstest.Context(t)
	if _, err := renew(ctx, struct {
		_    who
		Mode string `query:"mode" default:""`
	}{}); err != nil || depends.ResponseHeader(ctx).Get("Set-Cookie") != "sid=new" {
		t.Errorf("%v, %v", depends.ResponseHeader(ctx), err)
	}
	depends.ResponseHeader(t.Context()).Set("X-A", "1")
	if got := depends.ResponseHeader(t.Context()); len(got) != 0 {
		t.Error(got)
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
		"fail=rows": "404 no_such_room", "fail=tired": "403 mine", "fail=auth": "418 ", "fail=other": "500 internal_error",
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
