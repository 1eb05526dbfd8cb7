package main

import (
	"fmt"
	"slices"
)

// book is what was measured.
type book struct {
	rows  []*row
	notes []string // of what could not be measured as it should
}

// row is one benchmark: for each server a value a round, of the same rounds.
type row struct {
	name, unit string
	goal       goal
	values     map[string][]float64
}

// goal is what usher's value is held to. The zero goal is none.
type goal struct {
	text string
	met  func(*row) bool
}

// byRatio is a goal for usher's ratio to the server written by hand.
func byRatio(most float64) goal { return byRatioOf("usher", "hand", most) }

// byRatioOf is a goal for one server's ratio to another.
func byRatioOf(server, to string, most float64) goal {
	return goal{fmt.Sprintf("≤ %.2f", most), func(r *row) bool {
		ratio, ok := r.ratio(server, to)
		return ok && ratio.median <= most
	}}
}

// byMore is a goal for how much more usher may have than the server written by hand.
func byMore(most float64) goal {
	return goal{fmt.Sprintf("≤ %.0f more", most), func(r *row) bool {
		usher, ok := summarise(r.values["usher"])
		hand, also := summarise(r.values["hand"])
		return ok && also && usher.median-hand.median <= most
	}}
}

// byValue is a goal for usher's value.
func byValue(most float64, unit string) goal {
	return goal{fmt.Sprintf("≤ %.0f %s", most, unit), func(r *row) bool {
		usher, ok := summarise(r.values["usher"])
		return ok && usher.median <= most
	}}
}

// row returns the row of a name, a new one if need be.
func (b *book) row(name, unit string, goal goal) *row {
	for _, r := range b.rows {
		if r.name == name {
			return r
		}
	}
	r := &row{name: name, unit: unit, goal: goal, values: map[string][]float64{}}
	b.rows = append(b.rows, r)
	return r
}

func (r *row) add(server string, value float64) {
	r.values[server] = append(r.values[server], value)
}

// summary is the middle of some values, and between what they lie.
type summary struct{ median, low, high float64 }

func summarise(values []float64) (summary, bool) {
	if len(values) == 0 {
		return summary{}, false
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	median := sorted[half]
	if len(sorted)%2 == 0 {
		median = (sorted[half-1] + sorted[half]) / 2
	}
	return summary{median, sorted[0], sorted[len(sorted)-1]}, true
}

// ratio compares a server with another, each round by itself: what slows the machine
// down for a while slows both.
func (r *row) ratio(server, to string) (summary, bool) {
	own, base := r.values[server], r.values[to]
	var ratios []float64
	for i := range min(len(own), len(base)) {
		ratios = append(ratios, own[i]/base[i])
	}
	return summarise(ratios)
}

// holds says whether usher is within the goal.
func (r *row) holds() string {
	switch {
	case r.goal.met == nil:
		return ""
	case r.goal.met(r):
		return "yes"
	}
	return "no"
}

func (s summary) String() string {
	return fmt.Sprintf("%.3f (%.2f to %.2f)", s.median, s.low, s.high)
}
