package wsroute

// Stats is how a router stands: what gauges show.
type Stats struct {
	Handshakes int          // that are resolved at this moment
	Routes     []RouteStats // of WebSockets, in the order of their registration
}

// RouteStats is how a route stands.
type RouteStats struct {
	Route          string // its label, such as "GET /rooms/:room"
	Open           int    // connections, until their last cleanup has run
	Handlers       int    // that have not returned
	QueuedMessages int    // that wait for their peers
	QueuedBytes    int    // of their frames, and of control frames
}

// Stats returns how the router stands. It looks at every connection, so it is for a scrape each
// few seconds, not for each message. It is safe for concurrent use; before Mount there are no
// routes.
func (r *Router) Stats() Stats {
	handshakes, peers := r.shared.hub.open()
	stats := Stats{Handshakes: handshakes}
	at := map[*endpoint]int{}
	for _, e := range r.shared.mounted.Load().endpoints {
		if e.route.answer == nil {
			at[e] = len(stats.Routes)
			stats.Routes = append(stats.Routes, RouteStats{Route: e.target.Label})
		}
	}
	for _, p := range peers {
		s := &stats.Routes[at[p.endpoint]]
		s.Open++
		s.Handlers += int(p.working.Load())
		messages, bytes := p.conn.Queued()
		s.QueuedMessages += messages
		s.QueuedBytes += bytes
	}
	return stats
}
