package wsroute

import "time"

// controlRate is how many pings and pongs a peer may send: it has no reason to
// send more than a few a minute.
var controlRate = rate{perSecond: 10, burst: 20}

// rate is a limit of events; the zero value is none.
type rate struct {
	perSecond float64
	burst     int
}

// bucket counts events by a rate: it holds burst tokens at first, and gets
// perSecond of them a second. The zero value is ready.
type bucket struct {
	spent float64
	at    int64 // in nanoseconds since 1970
}

// take says whether there is a token, and takes it.
func (b *bucket) take(r rate) bool {
	if r.perSecond == 0 {
		return true
	}
	now := time.Now().UnixNano()
	b.spent = max(0, b.spent-time.Duration(now-b.at).Seconds()*r.perSecond)
	b.at = now
	if b.spent+1 > float64(r.burst) {
		return false
	}
	b.spent++
	return true
}
