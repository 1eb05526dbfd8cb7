// Package parity holds no code, only tests: how usher answers each of the
// scenarios in which FastAPI's behaviour on WebSockets was measured, and what its
// users have asked for. They write docs/parity.md, and hold docs/from-fastapi.md.
package parity
