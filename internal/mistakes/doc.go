// Package mistakes holds no code, only tests: programs that must not start, each
// with the one that does. They write docs/errors.md.
package mistakes
