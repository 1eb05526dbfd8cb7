package depends

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
)

// problem is the body of a refusal (RFC 9457 §3).
type problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Reason string       `json:"reason,omitempty"`
	Code   int          `json:"code,omitempty"` // the close code, if the program chose one
	Errors []ParamError `json:"errors,omitempty"`
}

// Every refusal has these two, and nobody changes them in place.
var problemType, noStore = []string{"application/problem+json"}, []string{"no-store"}

// ServeHTTP answers a plain HTTP request with the refusal: its status
// (StatusBeforeUpgrade), its headers and a problem document (RFC 9457), never Err.
func (r *Rejection) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	status := r.StatusBeforeUpgrade()
	title := cmp.Or(r.Title, http.StatusText(status))
	body, _ := json.Marshal(problem{ // none of its fields can fail
		Type: "about:blank", Title: title, Status: status,
		Detail: r.Detail, Reason: r.Reason, Code: r.CloseCode, Errors: r.Params,
	})
	h := w.Header()
	for name, values := range r.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	h["Content-Type"], h["Cache-Control"] = problemType, noStore
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
