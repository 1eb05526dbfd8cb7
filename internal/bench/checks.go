package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
	"github.com/golang-jwt/jwt/v5"
)

var errNoToken = errors.New("no bearer token")

// refusal is why a handshake is refused, and how: a status and a problem document
// (RFC 9457).
type refusal struct {
	status    int
	reason    string
	challenge string // WWW-Authenticate
	version   bool   // Sec-WebSocket-Version: 13 goes with it
	params    []paramError
	err       error // for the log
}

type paramError struct {
	Loc  []string `json:"loc"`
	Code string   `json:"code"`
}

type problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Reason string       `json:"reason,omitempty"`
	Errors []paramError `json:"errors,omitempty"`
}

// entry is what a good handshake has shown.
type entry struct {
	user  User
	room  string
	since int
}

// checks are those of a guarded room, written by hand once for all servers but
// usher's.
type checks struct {
	parser   *jwt.Parser
	key      any
	users    Users
	mutes    *Mutes
	validate *validator.Validate
	logger   *slog.Logger
}

func newChecks(id identity, logger *slog.Logger) *checks {
	return &checks{
		parser: jwt.NewParser(jwt.WithValidMethods([]string{id.method.Alg()}), jwt.WithStrictDecoding(),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithLeeway(leeway)),
		key:      id.verifying,
		users:    users,
		mutes:    newMutes(),
		validate: validator.New(validator.WithRequiredStructEnabled()),
		logger:   logger,
	}
}

// admit runs all checks of a GET, the cheapest first and the parameters last: who
// has no token learns nothing of them.
func (c *checks) admit(r *http.Request, room string) (entry, *refusal) {
	if refused := checkUpgrade(r); refused != nil {
		return entry{}, refused
	}
	if lines := r.Header["Origin"]; len(lines) > 1 || len(lines) == 1 && !strings.EqualFold(lines[0], origin) {
		return entry{}, &refusal{status: http.StatusForbidden, reason: "origin_not_allowed", err: fmt.Errorf("origin %.200q is not allowed for host %.200q", lines, r.Host)}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return entry{}, &refusal{status: http.StatusBadRequest, reason: "invalid_query"}
	}
	claims, refused := c.authenticate(r)
	if refused != nil {
		return entry{}, refused
	}
	user, ok := c.users[claims.Subject]
	if !ok {
		return entry{}, &refusal{status: http.StatusForbidden, reason: "unknown_user"}
	}
	since, params := c.parameters(room, query)
	if params != nil {
		return entry{}, &refusal{status: http.StatusUnprocessableEntity, reason: "invalid_parameters", params: params, err: fmt.Errorf("bad parameters: %v", params)}
	}
	return entry{user, room, since}, nil
}

// checkUpgrade is RFC 6455 §4.2.1.
func checkUpgrade(r *http.Request) *refusal {
	if !hasToken(r.Header["Upgrade"], "websocket") {
		return &refusal{status: http.StatusUpgradeRequired, reason: "upgrade_required"}
	}
	switch {
	case !r.ProtoAtLeast(1, 1):
		return &refusal{status: http.StatusBadRequest, reason: "http_version"}
	case !hasToken(r.Header["Connection"], "upgrade"):
		return &refusal{status: http.StatusBadRequest, reason: "connection_header"}
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return &refusal{status: http.StatusBadRequest, reason: "unexpected_body"}
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		return &refusal{status: http.StatusUpgradeRequired, reason: "websocket_version", version: true}
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) == 1 {
		if raw, err := base64.StdEncoding.DecodeString(keys[0]); err == nil && len(raw) == 16 {
			return nil
		}
	}
	return &refusal{status: http.StatusBadRequest, reason: "websocket_key"}
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// authenticate is RFC 6750: no error attribute for a request without a token.
func (c *checks) authenticate(r *http.Request) (*Claims, *refusal) {
	var tokens []string
	for _, line := range r.Header["Authorization"] {
		scheme, token, _ := strings.Cut(line, " ")
		if token = strings.TrimSpace(token); strings.EqualFold(scheme, "Bearer") && token != "" {
			tokens = append(tokens, token)
		}
	}
	switch {
	case len(tokens) == 0:
		return nil, &refusal{status: http.StatusUnauthorized, reason: "credentials_required", challenge: "Bearer", err: errNoToken}
	case len(tokens) > 1:
		return nil, &refusal{status: http.StatusBadRequest, reason: "invalid_request", challenge: `Bearer error="invalid_request"`}
	}
	claims := &Claims{}
	_, err := c.parser.ParseWithClaims(tokens[0], claims, func(*jwt.Token) (any, error) { return c.key, nil })
	if err == nil && claims.Subject == "" {
		err = jwt.ErrTokenRequiredClaimMissing
	}
	if err != nil {
		return nil, &refusal{status: http.StatusUnauthorized, reason: "invalid_token", challenge: `Bearer error="invalid_token"`, err: err}
	}
	return claims, nil
}

func (c *checks) parameters(room string, query url.Values) (since int, bad []paramError) {
	if !utf8.ValidString(room) {
		bad = append(bad, paramError{[]string{"path", "room"}, "utf8"})
	} else if err := c.validate.Var(room, "alphanum,max=64"); err != nil {
		bad = append(bad, paramError{[]string{"path", "room"}, failedRule(err)})
	}
	if values := query["since"]; len(values) > 0 {
		var err error
		if since, err = strconv.Atoi(values[len(values)-1]); err != nil {
			bad = append(bad, paramError{[]string{"query", "since"}, "int"})
		} else if err = c.validate.Var(since, "gte=0"); err != nil {
			bad = append(bad, paramError{[]string{"query", "since"}, failedRule(err)})
		}
	}
	return since, bad
}

func failedRule(err error) string {
	if list, ok := err.(validator.ValidationErrors); ok && len(list) > 0 {
		return list[0].Tag()
	}
	return "invalid"
}

// refuse answers and logs.
func (c *checks) refuse(w http.ResponseWriter, r *http.Request, route string, f *refusal) {
	level := slog.LevelInfo
	if f.reason == "origin_not_allowed" {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("route", route), slog.String("remote", r.RemoteAddr),
		slog.Int("status", f.status), slog.String("reason", f.reason),
	}
	if f.err != nil {
		attrs = append(attrs, slog.String("error", f.err.Error()))
	}
	c.logger.LogAttrs(r.Context(), level, "connection refused", attrs...)
	body, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(f.status), Status: f.status, Reason: f.reason, Errors: f.params,
	})
	if err != nil { // no field of it can fail
		body = nil
	}
	h := w.Header()
	if f.challenge != "" {
		h.Set("WWW-Authenticate", f.challenge)
	}
	if f.status == http.StatusUpgradeRequired {
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
	}
	if f.version {
		h.Set("Sec-WebSocket-Version", "13")
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.status)
	_, _ = w.Write(body)
}

// answer is what the room says to a message, or with which code it closes.
func (c *checks) answer(data []byte, user User) (reply []byte, code int) {
	var say Say
	if !utf8.Valid(data) { // RFC 6455 §8.1; most libraries leave it to us
		return nil, 1007
	}
	if err := json.Unmarshal(data, &say); err != nil {
		return nil, 1007
	}
	if err := c.validate.Struct(say); err != nil {
		return nil, 1008
	}
	reply, err := json.Marshal(Said{From: user.Name, Text: say.Text})
	if err != nil {
		return nil, 1011
	}
	return reply, 0
}
