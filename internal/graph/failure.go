package graph

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrGoexit is the failure of user code that ended its goroutine.
var ErrGoexit = errors.New("runtime.Goexit was called")

// Error is a failed resolution: the provider that failed, and why.
type Error struct {
	Provider string
	Err      error
	text     string // what Error returns, if it was written before
}

// Failed returns the error of a provider, with its text already written.
func Failed(provider string, err error) *Error {
	e := &Error{Provider: provider, Err: err}
	e.text = e.Error()
	return e
}

// Error names the provider in front of the cause.
func (e *Error) Error() string {
	if e.text != "" {
		return e.text
	}
	return e.Provider + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Panic is a panic of user code as an error. Its text has no stack, for logs
// print Stack beside it.
type Panic struct {
	Value any
	Stack []byte
	In    string
}

// Error names the place and the value.
func (p *Panic) Error() string { return fmt.Sprintf("panic in %s: %v", p.In, p.Value) }

// Unwrap returns the value if it is an error whose methods do not panic.
func (p *Panic) Unwrap() error {
	value, ok := p.Value.(error)
	if !ok || tryMethods(p.In, value) != nil {
		return nil
	}
	return value
}

// Protect calls f, which runs user code, and returns what [Recover] makes of its error.
func Protect(in string, f func() error) (err error) {
	defer Recover(in, &err)
	return f()
}

// Recover is deferred by a function that runs user code, whose error it sets to a panic. So it
// does with an error whose own methods panic, such as a nil *T in an error interface.
func Recover(in string, err *error) {
	if v := recover(); v != nil {
		*err = &Panic{Value: v, Stack: debug.Stack(), In: in}
	} else if *err != nil {
		*err = cmp.Or(tryMethods(in, *err), *err)
	}
}

// tryMethods calls the methods of an error that errors.Is and errors.As will call, and returns
// the panic of one.
func tryMethods(in string, err error) (panicked error) {
	defer Recover(in, &panicked)
	_ = err.Error()
	_ = errors.Is(err, errUnused)
	_, _ = errors.AsType[*unusedError](err)
	return nil
}

// unusedError is a type that no other error has.
type unusedError struct{ error }

var errUnused error = &unusedError{errors.New("unused")} // an Is may ask for its text
