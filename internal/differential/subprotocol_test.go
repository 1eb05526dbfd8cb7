package differential

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// spoken are the subprotocols of both routes.
var spoken = []string{"v2", "v1"}

// tokenPattern is RFC 9110 §5.6.2.
var tokenPattern = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")

// askedOffers is a handshake that offers subprotocols.
type askedOffers struct {
	secret bool // on the route that takes a token
	lines  []string
}

func (a askedOffers) String() string {
	return fmt.Sprintf("with a token %t, Sec-WebSocket-Protocol %q", a.secret, a.lines)
}

// items are the elements of the list, empty ones left out (RFC 9110 §5.6.1.2).
func (a askedOffers) items(trim func(string) string) (list []string) {
	for _, line := range a.lines {
		for item := range strings.SplitSeq(line, ",") {
			if item = trim(item); item != "" {
				list = append(list, item)
			}
		}
	}
	return list
}

func trimASCII(text string) string { return strings.Trim(text, " \t") }

// wellFormed says whether the list has tokens only, and each once (RFC 6455 §4.1).
func (a askedOffers) wellFormed() bool {
	list := a.items(trimASCII)
	notToken := func(item string) bool { return !tokenPattern.MatchString(item) }
	once := slices.Compact(slices.Sorted(slices.Values(list)))
	return !slices.ContainsFunc(list, notToken) && len(once) == len(list)
}

// tokenOffer is how a subprotocol begins that carries a token for the route.
const tokenOffer = "base64url.bearer.authorization.room."

// offersAnswer is what a route makes of the items of a list. strict says that names match in
// lower case alone, and that a marker at the end marks nothing.
func offersAnswer(items []string, secret, strict bool) string {
	if !secret {
		return fmt.Sprintf("selected %q", selected(items, ""))
	}
	same := func(a, b string) bool { return a == b || !strict && strings.EqualFold(a, b) }
	marks := func(i int) bool { return i < len(items) && same(items[i], "bearer") }
	var rest, tokens []string
	bad, marker := false, ""
	for i := 0; i < len(items); i++ {
		begin, encoded := items[i][:min(len(items[i]), len(tokenOffer))], ""
		switch {
		case same(begin, tokenOffer):
			encoded = items[i][len(tokenOffer):]
			raw, err := base64.RawURLEncoding.DecodeString(encoded)
			canonical := base64.RawURLEncoding.EncodeToString(raw)
			bad = bad || err != nil || len(raw) == 0 || !utf8.Valid(raw) || canonical != encoded
			tokens = append(tokens, string(raw))
		case marks(i) && i+1 < len(items) && (strict || !marks(i+1)):
			marker, tokens = items[i], append(tokens, items[i+1])
			i++
		case marks(i) && !strict:
			marker = items[i]
		default:
			rest = append(rest, items[i])
		}
	}
	unspoken := func(item string) bool { return !slices.Contains(spoken, item) }
	switch {
	case len(tokens) == 0 && marker != "" && slices.ContainsFunc(rest, unspoken):
		return "400 invalid_request"
	case bad, len(tokens) > 1, len(tokens) == 1 && len(rest) == 0 && marker == "":
		return "400 invalid_request"
	case len(tokens) == 0:
		return "401 credentials_required"
	}
	return fmt.Sprintf("selected %q, token %+q", selected(rest, marker), tokens[0])
}

// selected is the first of spoken that is offered, or else another.
func selected(items []string, other string) string {
	for _, name := range spoken {
		if slices.Contains(items, name) {
			return name
		}
	}
	return other
}

func offersDifferences() *differences[askedOffers] {
	return namedDifferences(
		difference[askedOffers]{
			name: "a long list is refused",
			page: "docs/security.md", words: "more than 32 subprotocols is 400 `too_many_subprotocols`",
			usher: func(a askedOffers) (string, bool) {
				return "400 too_many_subprotocols", len(a.items(trimASCII)) > 32
			},
		},
		difference[askedOffers]{
			name: "an offer that is no token or is there twice spoils no other",
			page: "wsroute/option.go", words: "The first that the client offers too is selected, else none",
			usher: func(a askedOffers) (string, bool) {
				return offersAnswer(a.items(trimASCII), a.secret, false), !a.wellFormed()
			},
		},
	)
}

// FuzzSubprotocols: the list is read as RFC 6455 §11.3.4 and RFC 9110 §5.6.1 have it. The
// reference refuses one that breaks their rules.
func FuzzSubprotocols(f *testing.F) {
	t := base64.RawURLEncoding.EncodeToString([]byte("t\u00e9\u00e9?~"))
	for i, seed := range []string{
		"-", "", ",", " , ,, ", "v1", "v2", "v1, v2", "v2,v1", "v1,v2,v3", "v3", "V1", "v1 v2",
		"v1;v2", "v1\nv2", "v2\nv1", "v1\n", "\nv1", " v1 ", "\tv1\t", "v1 ,\tv2", "v1,v1",
		"v3,v3,v1", "v1/2", "\"v1\"", "v\u00e91", "v1\u00a0", "\u2003v1", "v1\u0085", "v\x801",
		"v1,\u00a0",
		"bearer", "bearer,t", "bearer, t", "bearer,t,v1", "v1,bearer,t", "v1, v2, bearer, t",
		"bearer\nt", "bearer,v1", "bearer,bearer", "bearer,bearer,t", "bearer,bearer,bearer",
		"bearer,t,bearer", "bearer,t,bearer,u", "t,bearer", "bearer,,t", "bearer, ,\tt",
		"bearer,t t", "bearer,t\u00a0", "Bearer,t\u00a0", "Bearer,t", "t,Bearer", "bearer,bearer\u00a0", "v1,BEARER", "bearer,a.b-c_d~e", "bearer,t/u", "bearer,t=",
		"bearer,\u00a0",
		tokenOffer + t, "v1," + tokenOffer + t, tokenOffer + t + ",v1", tokenOffer + t + ",v3",
		tokenOffer + t + ",v1," + tokenOffer + t, tokenOffer, "v1," + tokenOffer, "v1," + tokenOffer + t + "=",
		"v1," + tokenOffer + "A", "v1," + tokenOffer + "YR", "v1," + tokenOffer + "_w", "v1," + tokenOffer + "+/",
		"v1," + tokenOffer + t + ",bearer,t", "bearer," + tokenOffer + t, tokenOffer + "YQ", "bearer," + tokenOffer,
		"v1,base64url.bearer.authorization.chat." + t,
		"v1,base64url.bearer.authorization.roomy." + t,
		"v1,Base64url.bearer.authorization.room." + t, "v1," + tokenOffer + "YQ.",
		"v1," + tokenOffer + "YQ\u00a0",
		strings.Repeat("a,", 31) + "v1", strings.Repeat("a,", 32) + "v1",
		strings.Repeat(",", 100) + "v1", "v1" + strings.Repeat("\nv3", 40),
		strings.Repeat("bearer,t,", 17) + "v1",
	} {
		if !fuzzing() || i%2 == 0 {
			f.Add(false, seed)
		}
		if !fuzzing() || i%2 == 1 {
			f.Add(true, seed)
		}
	}
	ws := wsroute.New(depends.New(), config())
	speaks := wsroute.Subprotocols(spoken...)
	wsroute.Handle(ws, "/plain", func(context.Context, *textSocket, none) error { return nil }, speaks, wsroute.Public)
	group := ws.Group("/secret")
	security.Use(group.Deps(), security.Scheme[found](echo{security.SubprotocolToken("room")}))
	wsroute.Handle(group, "", func(ctx context.Context, conn *textSocket, in struct{ Found found }) error {
		return conn.Send(ctx, fmt.Sprintf(", token %+q", string(in.Found)))
	}, speaks)
	srv := wstest.Start(f, ws)
	known := offersDifferences()
	f.Fuzz(func(t *testing.T, secret bool, lines string) {
		if strings.Contains(lines, "\r") {
			t.Skip("a line would end")
		}
		a, headers, target := askedOffers{secret: secret}, handshake, "GET /plain"
		if lines != "-" { // which stands for none
			a.lines = strings.Split(lines, "\n")
		}
		for _, line := range a.lines {
			headers += "Sec-WebSocket-Protocol: " + line + "\r\n"
		}
		if secret {
			target = "GET /secret"
		}
		usher := connect(t, srv).ask(target, headers)
		if usher.status >= 400 && usher.header.Get("Content-Type") != "application/problem+json" {
			t.Skip("net/http refuses it")
		}
		got, want := usher.String(), "malformed"
		if usher.status == 101 {
			got = fmt.Sprintf("selected %q%s", usher.header.Get("Sec-WebSocket-Protocol"), usher.body)
		}
		if a.wellFormed() {
			want = offersAnswer(a.items(trimASCII), secret, false)
		}
		known.compare(t, a, got, want)
	})
	known.check(f)
}
