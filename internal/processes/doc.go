// Package processes has the runs in which several processes of a program lose their broker, each
// other, or themselves: see docs/scaling.md for what must hold.
package processes
