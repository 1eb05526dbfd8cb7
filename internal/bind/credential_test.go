package bind

import (
	"encoding/base64"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"example.com/usher/depends"
)

// FuzzSubprotocol: no token is among what can be selected, none is lost, and
// taking tokens out twice is taking them out once.
func FuzzSubprotocol(f *testing.F) {
	for _, seed := range []string{
		"", "v1", "bearer, t", "v1, bearer, t, v2", "bearer", "v1, base64url.bearer.authorization.chat.dA", "base64url.bearer.authorization.chat.dA",
		"v1, base64url.bearer.authorization.other.dA", "bearer, base64url.bearer.authorization.chat.dA", "bearer,bearer,bearer", " , ,, bearer ,t", "base64url.bearer.authorization.chat.",
		"Bearer, t", "t, BEARER", "t, bearer, Bearer", "bearer, bearer, t, u", "u, bearer, t, bearer", "v1, Base64URL.bearer.authorization.Chat.dA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		offers := Offers([]string{line})
		o, err := splitOffers(offers, bearerOffer+"chat.", nil)
		rest, tokens := o.rest, o.tokens
		for _, offer := range rest {
			if strings.HasPrefix(strings.ToLower(offer), bearerOffer+"chat.") {
				t.Fatalf("%q can be selected", offer)
			}
			if !slices.Contains(offers, offer) {
				t.Fatalf("%q was not offered", offer)
			}
		}
		if len(rest)+len(tokens) > len(offers) || len(rest)+2*len(tokens) < len(offers) && !strings.Contains(strings.ToLower(line), BearerMarker) {
			t.Fatalf("%q became %q and %q", offers, rest, tokens)
		}
		second, _ := splitOffers(rest, bearerOffer+"chat.", nil)
		again, more := second.rest, second.tokens
		if more != nil || !slices.Equal(again, rest) {
			t.Fatalf("%q, taken out again, is %q and %q", rest, again, more)
		}
		if err == nil && len(tokens) == 1 && len(offers) == 2 && o.marker == "" {
			want := offers[0] + offers[1]
			if !strings.Contains(want, base64.RawURLEncoding.EncodeToString([]byte(tokens[0]))) {
				t.Fatalf("%q holds no %q", offers, tokens[0])
			}
		}
	})
}

// FuzzAuthorization: a credential is what stands behind its scheme's name, and
// what is stripped holds none.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "Bearer x", "bEARER   x ", "Basic x", "Bearer x y", "Bearerx", " Bearer x", "Bearer\tx"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		source := depends.Source{In: "header", Name: "Authorization", Prefix: "Bearer"}
		got := take(source.Prefix, line)
		trimmed := textproto.TrimString(line)
		has := len(trimmed) > len("Bearer ") && strings.EqualFold(trimmed[:len("Bearer ")], "Bearer ")
		if (got != "") != has || got != textproto.TrimString(got) || !strings.HasSuffix(trimmed, got) {
			t.Fatalf("%q: got %q", line, got)
		}
		h := http.Header{"Authorization": {line, "Basic other"}}
		stripHeaders(h, []depends.Source{source}, nil)
		for _, kept := range h["Authorization"] {
			if take(source.Prefix, kept) != "" {
				t.Fatalf("%q keeps %q", line, kept)
			}
		}
	})
}

// TestEverySpellingIsStripped that a credential is found by: EqualFold knows letters beyond
// ASCII.
func TestEverySpellingIsStripped(t *testing.T) {
	for line, want := range map[string]int{"Basic x": 0, "Ba\u017fic x": 0, "Basic\tx": 0, "Basics x": 1, "Basic": 1} {
		h := http.Header{"Authorization": {line}}
		stripHeaders(h, []depends.Source{{In: "header", Name: "Authorization", Prefix: "Basic"}}, nil)
		if got := h["Authorization"]; len(got) != want {
			t.Errorf("%q: %q is kept", line, got)
		}
	}
}
