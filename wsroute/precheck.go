package wsroute

import (
	"encoding/base64"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"example.com/usher/depends"
)

// version is the only WebSocket version there is (RFC 6455 §4.1).
const version = "13"

// keyLength is the length of a decoded Sec-WebSocket-Key (RFC 6455 §4.1).
const keyLength = 16

// wantsUpgrade says whether the request is a handshake at all, well-formed or not.
func wantsUpgrade(r *http.Request) bool { return hasToken(r.Header["Upgrade"], "websocket") }

// isHandshake says whether the request is meant as a handshake: a proxy may drop Upgrade, and
// nothing else of it.
func isHandshake(r *http.Request) bool {
	return wantsUpgrade(r) || r.Header["Sec-Websocket-Key"] != nil
}

// upgradeRequired answers a plain request on a WebSocket route (RFC 9110 §15.5.22).
func upgradeRequired(r *http.Request) *depends.Rejection {
	return &depends.Rejection{
		Status: http.StatusUpgradeRequired,
		Reason: "upgrade_required",
		Detail: "this is a WebSocket endpoint",
		Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}},
		Err:    incomplete(r),
	}
}

// checkHandshake refuses an opening handshake that is not what RFC 6455 §4.2.1
// asks for, before anything of the program runs.
func checkHandshake(r *http.Request) *depends.Rejection {
	bad := func(reason string) *depends.Rejection {
		return refusal(http.StatusBadRequest, reason, incomplete(r))
	}
	v, k := r.Header["Sec-Websocket-Version"], r.Header["Sec-Websocket-Key"]
	switch {
	case !r.ProtoAtLeast(1, 1):
		return bad("http_version")
	case !hasToken(r.Header["Connection"], "upgrade"):
		return bad("connection_header")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return bad("unexpected_body")
	case len(v) != 1 || v[0] != version:
		old := upgradeRequired(r)
		old.Reason, old.Detail = "websocket_version", "this server speaks version 13 of the protocol"
		old.Header["Sec-Websocket-Version"] = []string{version}
		old.Header["Connection"] = []string{"close", "Upgrade"}
		return old
	case len(k) != 1 || !isKey(k[0]):
		return bad("websocket_key")
	}
	return nil
}

// incomplete says what a request has of a handshake; it is nil if that has not been meant.
func incomplete(r *http.Request) error {
	if !isHandshake(r) {
		return nil
	}
	return fmt.Errorf("the handshake has %s, Upgrade %.99q, Connection %.99q, "+
		"Sec-WebSocket-Version %.99q, %d Sec-WebSocket-Key; a proxy drops what it is not told to pass",
		r.Proto, r.Header["Upgrade"], r.Header["Connection"], r.Header["Sec-Websocket-Version"],
		len(r.Header["Sec-Websocket-Key"]))
}

var strictBase64 = base64.StdEncoding.Strict()

func isKey(text string) bool {
	raw, err := strictBase64.DecodeString(text)
	return err == nil && len(raw) == keyLength
}

// hasToken looks for a token in header lines that are lists, without regard to case.
func hasToken(lines []string, token string) bool {
	for item := range listItems(lines) {
		if strings.EqualFold(item, token) {
			return true
		}
	}
	return false
}

// listItems goes through header lines that are lists (RFC 9110 §5.6.1).
func listItems(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for item := range strings.SplitSeq(line, ",") {
				if item = strings.Trim(item, " \t"); item != "" && !yield(item) {
					return
				}
			}
		}
	}
}
