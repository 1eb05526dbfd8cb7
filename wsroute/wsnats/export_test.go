package wsnats

import "testing"

// Purge empties the stream.
func (l *Log) Purge(t *testing.T) {
	if err := l.stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
}
