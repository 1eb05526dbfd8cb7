// Package parity holds no code, only tests: how usher answers each of the
// scenarios in which FastAPI's behaviour on WebSockets was measured. They write
// docs/parity.md.
package parity
