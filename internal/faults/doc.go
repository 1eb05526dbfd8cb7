// Package faults holds one test for each thing that can go wrong with a connection
// and its peer, named by its row in docs/reliability.md.
package faults
