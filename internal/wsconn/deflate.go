package wsconn

import (
	"slices"
	"strings"
)

// deflateName is that of permessage-deflate (RFC 7692 §7).
const deflateName = "permessage-deflate"

// deflateAnswer accepts it with what gorilla can do.
const deflateAnswer = deflateName + "; server_no_context_takeover; client_no_context_takeover"

// offersDeflate says whether one of a client's offers is of a permessage-deflate that we
// can fulfil (RFC 7692 §5, §7.1): our answer is always the same.
func offersDeflate(lines []string) bool {
	for _, line := range lines {
		for offer := range strings.SplitSeq(line, ",") {
			params := strings.Split(offer, ";")
			if strings.Trim(params[0], " \t") == deflateName && canFulfil(params[1:]) {
				return true
			}
		}
	}
	return false
}

// windowBits are the sizes of a window (RFC 7692 §7.1.2).
var windowBits = []string{"8", "9", "10", "11", "12", "13", "14", "15"}

// canFulfil says whether the parameters of an offer demand nothing of what we send but to
// take no context over. A demand for a window would have to be answered.
func canFulfil(params []string) bool {
	seen := map[string]bool{}
	for _, param := range params {
		name, value, hasValue := strings.Cut(param, "=")
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t\"")
		known := false
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			known = !hasValue
		case "client_max_window_bits":
			known = !hasValue || slices.Contains(windowBits, value)
		}
		if !known || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}
