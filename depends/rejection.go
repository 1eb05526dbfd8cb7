package depends

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrAbsent says that a dependency is not there, in contrast to being there and
// wrong. A provider wraps it to let [Optional] fields be empty: no credentials
// is absence, a bad token is not.
var ErrAbsent = errors.New("absent")

// Rejection is an error that says what the peer gets. A provider, a scheme
// or a handler returns one to refuse: before the upgrade Status and a problem
// document (RFC 9457) go out, after it a close frame with CloseCode and Reason.
// Of any other error the peer gets a bare 500 or 1011.
//
// A Rejection must not be changed after it was returned; one value may then
// serve any number of connections at once.
type Rejection struct {
	// Status is the HTTP status: 400 to 599, or 301, 302, 303, 307 or 308 with a Location
	// in Header, which pages and programs follow for plain requests and no WebSocket
	// client does. Anything else is sent as 500, and the log says so. 0 derives it from
	// CloseCode: 3000 is 401, 3003 is 403, 3008 is 408, 1012 and 1013 are 503, 1011 is 500, and
	// any other is 403. One of the two is required.
	Status int
	// CloseCode is the code after the upgrade (RFC 6455 §7.4). 0 derives it from
	// Status: 401 is 3000, 403 is 3003, 408 is 3008, 429 and 503 are 1013,
	// other 4xx and redirects are 1008, other 5xx are 1011.
	CloseCode int
	// Reason is a short stable token for machines, such as "room_full": the
	// problem's "reason", and the reason of the close frame. Optional.
	Reason string
	// Title is the problem's title. Empty means the text of Status.
	Title string
	// Detail is a sentence for the person who reads the refusal. It is public. Optional.
	Detail string
	// Header is added to the refusing response, such as WWW-Authenticate. Optional.
	Header http.Header
	// RetryAfter is sent as Retry-After in whole seconds, rounded up. 0 sends none.
	RetryAfter time.Duration
	// Params lists the parameters that were refused. Set by the resolver for 422.
	Params []ParamError
	// Err is the cause: logged and visible to errors.Is, never sent. Optional.
	Err error
}

// ParamError is one request parameter that was refused. It never holds the
// value, which may be a secret.
type ParamError struct {
	// Loc says where: the source ("path", "query", "header" or "cookie"), the
	// parameter's name and, for one value of a repeated parameter, its index; in a message,
	// the JSON names and indexes that lead to the member.
	Loc []string `json:"loc"`
	// Code says what: "missing", "int", "bool", … for a value that does not
	// parse as the field's type, or the failed rule of its validate tag.
	Code string `json:"code"`
	// Param is the bound of the failed rule, such as "64" of max=64; "" if it has none.
	Param string `json:"param,omitempty"`
}

// Error returns the status, the reason and the cause, for logs.
func (r *Rejection) Error() string {
	number := cmp.Or(r.Status, r.CloseCode, http.StatusInternalServerError)
	text := strconv.Itoa(number) + " " + cmp.Or(r.Reason, http.StatusText(number))
	for _, p := range r.Params {
		text += " [" + strings.Join(p.Loc, " ") + "]:" + p.Code
	}
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

// Unauthorized refuses a peer that has not shown who it is: 401, close code
// 3000. The challenge is sent as WWW-Authenticate, which RFC 9110 §15.5.2 demands.
func Unauthorized(challenge string, err error) *Rejection {
	return &Rejection{
		Status: http.StatusUnauthorized, Reason: "unauthorized",
		Header: http.Header{"Www-Authenticate": {challenge}}, Err: err,
	}
}

// Forbidden refuses a known peer that may not do this: 403, close code 3003.
func Forbidden(reason string, err error) *Rejection {
	return &Rejection{Status: http.StatusForbidden, Reason: reason, Err: err}
}

// NotFound says that what the request names does not exist, or that the peer
// may not know of it: 404, close code 1008.
func NotFound(reason string, err error) *Rejection {
	return &Rejection{Status: http.StatusNotFound, Reason: reason, Err: err}
}

// Unavailable refuses for a fault of ours that will pass: 503 with Retry-After,
// close code 1013.
func Unavailable(retryAfter time.Duration, err error) *Rejection {
	return &Rejection{
		Status: http.StatusServiceUnavailable, Reason: "unavailable",
		RetryAfter: retryAfter, Err: err,
	}
}

// StatusBeforeUpgrade returns the HTTP status that is sent: Status, or the one for CloseCode.
func (r *Rejection) StatusBeforeUpgrade() int {
	redirects := slices.Contains([]int{301, 302, 303, 307, 308}, r.Status)
	switch {
	case redirects && r.Header.Get("Location") != "", r.Status >= 400 && r.Status <= 599:
		return r.Status
	case r.Status != 0:
		return http.StatusInternalServerError
	}
	return cmp.Or(statuses[r.CloseCode], http.StatusForbidden)
}

// statuses are those of close codes, and of none.
var statuses = map[int]int{
	0:    http.StatusInternalServerError,
	1011: http.StatusInternalServerError,
	1012: http.StatusServiceUnavailable,
	1013: http.StatusServiceUnavailable,
	3000: http.StatusUnauthorized,
	3008: http.StatusRequestTimeout,
}

// CodeAfterUpgrade returns the close code: CloseCode, or the one for Status.
func (r *Rejection) CodeAfterUpgrade() int {
	if r.Status >= 300 && r.Status < 500 {
		return cmp.Or(r.CloseCode, closeCodes[r.Status], 1008) // Policy Violation, RFC 6455 §7.4.1
	}
	return cmp.Or(r.CloseCode, closeCodes[r.Status], 1011) // Internal Error
}

// closeCodes are those of statuses, in the IANA registry.
var closeCodes = map[int]int{
	http.StatusUnauthorized:       3000, // Unauthorized
	http.StatusForbidden:          3003, // Forbidden
	http.StatusRequestTimeout:     3008, // Timeout
	http.StatusTooManyRequests:    1013, // Try Again Later
	http.StatusServiceUnavailable: 1013,
}
