package graph

import (
	"errors"
	"fmt"
)

// Error is a failed resolution: the provider that failed, and why.
type Error struct {
	Provider string
	Err      error
	text     string // what Error returns, if it was written before
}

// Failed returns the error of a provider, which was tried: its text is written.
func Failed(provider string, err error) *Error {
	e := &Error{Provider: provider, Err: err}
	e.text = e.Error()
	try(err)
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

// Unwrap returns the value if it is an error that can be asked what it is.
func (p *Panic) Unwrap() (err error) {
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	if err, _ = p.Value.(error); err != nil {
		Try(err)
	}
	return err
}

// Try calls what others will call of an error of the program's own, so that one that
// panics, such as a nil *T in an error, does so where its panic is expected.
func Try(err error) {
	_ = err.Error()
	try(err)
}

func try(err error) {
	_ = errors.Is(err, errNone)
	_, _ = errors.AsType[*none](err)
}

// none is no error's type.
type none struct{ error }

var errNone error = &none{errors.New("none")} // an Is may ask for its text
