// Package usher is the root of a framework for WebSocket handlers that declare
// what they need. The fields of a handler's input struct say it: the current
// user, a room, a database handle; they are filled before the upgrade, and the
// connection is refused if one of them cannot be had. Providers are declared
// with [example.com/usher/depends], routes with [example.com/usher/wsroute],
// and who may connect with [example.com/usher/security]; tests use
// [example.com/usher/wsroute/wstest]. This package itself holds only the
// repository's own tests; start with the programs under examples.
package usher
