package wsconn

import "time"

// ControlRate is how many pings and pongs a peer may send: it has no reason to
// send more than a few a minute.
var ControlRate = Rate{PerSecond: 10, Burst: 20}

// Rate is a limit of events; the zero value is none.
type Rate struct {
	PerSecond float64
	Burst     int
}

// bucket counts events by a rate: it holds Burst tokens at first, and gets PerSecond of
// them a second. The zero value is ready.
type bucket struct {
	spent float64
	at    int64 // in nanoseconds since 1970
}

// take says whether there is a token, and takes it.
func (b *bucket) take(r Rate) bool {
	if r.PerSecond == 0 {
		return true
	}
	now := time.Now().UnixNano()
	b.spent = max(0, b.spent-time.Duration(now-b.at).Seconds()*r.PerSecond)
	b.at = now
	if b.spent+1 > float64(r.Burst) {
		return false
	}
	b.spent++
	return true
}
