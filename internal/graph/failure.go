package graph

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"strings"
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
	Stack string // its calls, the innermost first
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
		*err = &Panic{Value: v, Stack: calls(), In: in}
	} else if *err != nil {
		*err = cmp.Or(tryMethods(in, *err), *err)
	}
}

// maxCalls is how many calls of a stack are told.
const maxCalls = 24

// calls returns the stack of a panic that was recovered by the caller's caller, on one line.
func calls() string {
	const above = 4 // runtime.Callers, calls, Recover and the panic
	pcs := make([]uintptr, maxCalls)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(above, pcs)])
	var list []string
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		list = append(list, Func{funcName(f.Function), site(f.Function, f.File, f.Line)}.String())
	}
	return strings.Join(list, " < ")
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
