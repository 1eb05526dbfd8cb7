package wsroute_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestARejectionDerivesItsMissingHalf: the status follows from a close code as the code does
// from a status, and a status that refuses nothing is never sent. The kind: a refusal of which
// one half was not thought of.
func TestARejectionDerivesItsMissingHalf(t *testing.T) {
	for _, test := range []struct {
		sent         depends.Rejection
		status, code int
	}{
		{depends.Rejection{CloseCode: 4003, Reason: "unknown_user"}, 403, 4003},
		{depends.Rejection{CloseCode: 4999}, 403, 4999},
		{depends.Rejection{CloseCode: 1008}, 403, 1008},
		{depends.Rejection{CloseCode: 3000}, 401, 3000},
		{depends.Rejection{CloseCode: 3003}, 403, 3003},
		{depends.Rejection{CloseCode: 3008}, 408, 3008},
		{depends.Rejection{CloseCode: 1011}, 500, 1011},
		{depends.Rejection{CloseCode: 1012}, 503, 1012},
		{depends.Rejection{CloseCode: 1013}, 503, 1013},
		{depends.Rejection{Status: 409}, 409, 1008},
		{depends.Rejection{Status: 404, CloseCode: 4404}, 404, 4404},
		{depends.Rejection{Reason: "neither"}, 500, 1011},
		{depends.Rejection{Status: 204}, 500, 1011}, // a page would take it for success
		{depends.Rejection{Status: 200}, 500, 1011},
		{depends.Rejection{Status: 101, CloseCode: 4003}, 500, 4003},
		{depends.Rejection{Status: 100}, 500, 1011},
		{depends.Rejection{Status: 600}, 500, 1011},
		{depends.Rejection{Status: -1}, 500, 1011},
	} {
		var log safeBuffer
		deps := depends.New()
		depends.Provide(deps, func(context.Context, none) (gate, error) { return gate{}, &test.sent })
		ws := wsroute.New(deps, &wsroute.Config{Logger: textLogger(&log)})
		type in struct{ Gate gate }
		handler := func(context.Context, *wsroute.Conn[string, string], in) error { return nil }
		wsroute.Handle(ws, "/ws", handler, wsroute.Public)
		wsroute.Handle(ws, "/told", handler, wsroute.Public, wsroute.AcceptThenClose)
		wsroute.HandleHTTP(ws, http.MethodGet, "/http", func(http.ResponseWriter, *http.Request, in) error { return nil })
		srv := wstest.Start(t, ws)
		r := wstest.Refused(t, srv, "/ws")
		if r.Status != test.status || r.Problem.Status != test.status || r.Problem.Reason != test.sent.Reason {
			t.Errorf("%+v: got %d, %+v, want %d", test.sent, r.Status, r.Problem, test.status)
		}
		if closed := wstest.Dial[string, string](t, srv, "/told").Closed(); closed.Code != test.code {
			t.Errorf("%+v: closed with %d, want %d", test.sent, closed.Code, test.code)
		}
		answer, err := srv.Client().Get("http://" + srv.Host + "/http")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != test.status {
			t.Errorf("%+v: a plain request got %d, want %d", test.sent, answer.StatusCode, test.status)
		}
		if lines := strings.Count(log.String(), " status="+strconv.Itoa(test.status)+" "); lines != 3 {
			t.Errorf("%+v: the log is\n%s", test.sent, log.String())
		}
	}
}

// TestTheTextOfARejectionNamesWhatWasGiven, so that a log never says "0 unknown_user".
func TestTheTextOfARejectionNamesWhatWasGiven(t *testing.T) {
	for want, r := range map[string]depends.Rejection{
		"4003 unknown_user":         {CloseCode: 4003, Reason: "unknown_user"},
		"403 Forbidden":             {Status: 403, CloseCode: 4003},
		"204 No Content":            {Status: 204},
		"500 mine: disk full":       {Reason: "mine", Err: errors.New("disk full")},
		"500 Internal Server Error": {},
	} {
		if got := r.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// explosive is a parameter whose UnmarshalText has a mistake.
type explosive struct{ text string }

func (p *explosive) UnmarshalText(text []byte) error {
	if len(text) > 2 {
		panic("boom")
	}
	p.text = string(text)
	return nil
}

// TestAPanicOfAParameterIsNamed. The kind: a panic of the program's own decoding, of which the
// log must say where it was, and which must tell a stranger nothing that a guard keeps.
func TestAPanicOfAParameterIsNamed(t *testing.T) {
	type (
		ofQuery struct {
			P explosive `query:"uid"`
		}
		ofHeader struct {
			P explosive `header:"X-Uid"`
		}
		ofPath struct {
			P explosive `path:"uid"`
		}
		ofCookie struct {
			P explosive `cookie:"uid"`
		}
		ofSlice struct {
			P []explosive `query:"uid"`
		}
		ofPtr struct {
			P *explosive `query:"uid"`
		}
	)
	for name, test := range map[string]struct {
		add    func(*wsroute.Router)
		target string
		option wstest.Option
		place  string
	}{
		"query":          {opens[ofQuery](wsroute.Public), "/ws?uid=long", nil, "the query parameter uid"},
		"slice":          {opens[ofSlice](wsroute.Public), "/ws?uid=a&uid=long", nil, "the query parameter uid"},
		"pointer":        {opens[ofPtr](wsroute.Public), "/ws?uid=long", nil, "the query parameter uid"},
		"header":         {opens[ofHeader](wsroute.Public), "/ws", wstest.Header("X-Uid", "long"), "the header parameter X-Uid"},
		"cookie":         {opens[ofCookie](wsroute.Public), "/ws", wstest.Header("Cookie", "uid=long"), "the cookie parameter uid"},
		"path":           {func(r *wsroute.Router) { opens[ofPath](wsroute.Public)(r.Group("/:uid")) }, "/long/ws", nil, "the path parameter uid"},
		"behind a guard": {opens[ofQuery](wsroute.Require[fromHeader]()), "/ws?uid=long", wstest.Header("X-Team", "blue"), "the query parameter uid"},
	} {
		t.Run(name, func(t *testing.T) {
			var log safeBuffer
			ws := wsroute.New(someGuards(), &wsroute.Config{Logger: textLogger(&log)})
			test.add(ws)
			var options []wstest.Option
			if test.option != nil {
				options = append(options, test.option)
			}
			srv := wstest.Start(t, ws)
			if r := wstest.Refused(t, srv, test.target, options...); r.Status != 500 || strings.Contains(string(r.Body), "boom") {
				t.Errorf("got %d %s", r.Status, r.Body)
			}
			if want := "panic in " + test.place + ": boom"; !strings.Contains(log.String(), want) {
				t.Errorf("no %q in\n%s", want, log.String())
			}
			if name == "behind a guard" {
				if r := wstest.Refused(t, srv, test.target); r.Status != 403 && r.Status != 422 {
					t.Errorf("a stranger got %d", r.Status)
				}
			}
		})
	}
}

// TestAPanicOfADefaultDoesNotStart, and takes no Mount down.
func TestAPanicOfADefaultDoesNotStart(t *testing.T) {
	type (
		defaulted struct {
			P explosive `query:"uid" default:"long"`
		}
		ruled struct {
			P explosive `query:"uid" validate:"len=3"`
		}
	)
	for name, add := range map[string]func(*wsroute.Router){
		"default": opens[defaulted](wsroute.Public), "rule": opens[ruled](wsroute.Public),
	} {
		ws := wsroute.New(depends.New(), quiet())
		add(ws)
		_, err := ws.Handler()
		var bad *depends.WiringError
		if !errors.As(err, &bad) || bad.Kind != "bad tag" {
			t.Errorf("%s: got %v", name, err)
		}
		if name == "default" && !strings.Contains(bad.Fact, "panic in the query parameter uid: boom") {
			t.Errorf("got %v", err)
		}
	}
}
