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
	goal       float64 // the largest ratio of usher to hand that will do; 0 is no goal
	values     map[string][]float64
}

// row returns the row of a name, a new one if need be.
func (b *book) row(name, unit string, goal float64) *row {
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

// ratio compares a server with the hand-written one, each round by itself: what
// slows the machine down for a while slows both.
func (r *row) ratio(server string) (summary, bool) {
	own, base := r.values[server], r.values["hand"]
	var ratios []float64
	for i := range min(len(own), len(base)) {
		ratios = append(ratios, own[i]/base[i])
	}
	return summarise(ratios)
}

// holds says whether usher is within the goal.
func (r *row) holds() string {
	ratio, ok := r.ratio("usher")
	switch {
	case !ok || r.goal == 0:
		return ""
	case ratio.median <= r.goal:
		return "yes"
	}
	return "no"
}

func (s summary) String() string {
	return fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.low, s.high)
}
