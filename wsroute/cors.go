package wsroute

import (
	"net/http"

	"example.com/usher/internal/bind"
)

// CORS lets pages of other origins call next, such as the handler of security.Tickets, if they
// may connect (Config.Origins): it answers their preflights and lets them read the answers,
// and security.Authenticate takes their cookies. Requests of other pages reach next, too,
// without any of that. A route with [Diagnose] needs no CORS of its own. On gin, register the
// handler for OPTIONS as well as for its own method:
//
//	engine.Match([]string{"POST", "OPTIONS"}, "/ticket", gin.WrapH(ws.CORS(tickets.Handler(who))))
func (r *Router) CORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		allowed, answered := r.shared.cors(w, req, false)
		if answered {
			return
		}
		if allowed {
			req = bind.WithAllowedOrigin(req)
		}
		next.ServeHTTP(w, req)
	})
}

// cors sets the header by which a page reads an answer, if its origin may connect, and answers
// a preflight of such a page.
func (s *shared) cors(w http.ResponseWriter, r *http.Request, open bool) (allowed, answered bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if r.Header["Origin"] == nil || !s.origins.allows(r, s.proxies, open) {
		return false, false
	}
	h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		return true, false
	}
	h.Set("Access-Control-Allow-Methods", method)
	h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	w.WriteHeader(http.StatusNoContent)
	return true, true
}
