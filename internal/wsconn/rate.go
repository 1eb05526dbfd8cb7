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

// bucket counts events: Burst of them may come at once, and PerSecond of them are forgotten
// each second. The zero value is ready.
type bucket struct {
	spent float64 // events that are not forgotten
	at    int64   // when, in nanoseconds of the wall clock
}

// take says whether there is room for one more, and takes it.
func (b *bucket) take(r Rate) bool {
	if r.PerSecond == 0 {
		return true
	}
	now := time.Now().UnixNano()
	passed := max(0, time.Duration(now-b.at)) // a wall clock may step back
	b.spent = max(0, b.spent-passed.Seconds()*r.PerSecond)
	b.at = now
	if b.spent+1 > float64(r.Burst) {
		return false
	}
	b.spent++
	return true
}
