package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Conn is a connection whose messages are read and written as they are on the wire.
type Conn = wsroute.Conn[wsroute.Message, wsroute.Message]

// maxBatch is how many requests a batch may have. It counts as one message in Limits.MessageRate.
const maxBatch = 50

// request is a request, or a notification if it has no id.
type request struct {
	Version string          `json:"jsonrpc" validate:"eq=2.0"`
	Method  string          `json:"method"  validate:"required"`
	Params  json.RawMessage `json:"params"`
	ID      json.RawMessage `json:"id"`
}

// valid says whether the parameters are a list or an object, and the id is a text, a number or
// null.
func (r request) valid() bool {
	return (r.Params == nil || strings.ContainsRune("[{", rune(r.Params[0]))) &&
		(r.ID == nil || !strings.ContainsRune("[{tf", rune(r.ID[0])))
}

// response has a result or an error.
type response struct {
	Version string          `json:"jsonrpc"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
	ID      json.RawMessage `json:"id"`
}

// rpcError is an error object.
type rpcError struct {
	Code    int        `json:"code"`
	Message string     `json:"message"`
	Data    *errorData `json:"data,omitempty"`
}

type errorData struct {
	Reason string               `json:"reason"`
	Detail string               `json:"detail,omitempty"`
	Errors []depends.ParamError `json:"errors,omitempty"`
}

var (
	errParse    = &rpcError{Code: -32700, Message: "Parse error"}
	errRequest  = &rpcError{Code: -32600, Message: "Invalid Request"}
	errNoMethod = &rpcError{Code: -32601, Message: "Method not found"}
	errInternal = &rpcError{Code: -32603, Message: "Internal error"}
	errTooLong  = &rpcError{-32000, "Refused", &errorData{Reason: "batch_too_long"}}
)

// method decodes its parameters and returns its result.
type method func(ctx context.Context, conn *Conn, params json.RawMessage) (any, error)

// service is the methods of a route, and the calls that they make.
type service struct {
	methods map[string]method
	calls   []wsroute.RouteOption
}

func add[M, In, Out any](s *service, name string, call *wsroute.Call[M, In, Out]) {
	s.calls = append(s.calls, wsroute.Calls(call))
	s.methods[name] = func(ctx context.Context, conn *Conn, params json.RawMessage) (any, error) {
		m, err := decode[M](conn, params)
		if err != nil {
			return nil, err
		}
		return call.Do(ctx, conn, m)
	}
}

// decode reads parameters; absent ones are null.
func decode[T any](conn *Conn, params json.RawMessage) (v T, err error) {
	if params == nil {
		params = json.RawMessage("null")
	}
	return wsroute.Decode[T](conn, wsroute.Message{Data: params})
}

// renew is a method that needs the connection. An error of Renew has closed it.
func renew(_ context.Context, conn *Conn, params json.RawMessage) (any, error) {
	asked, err := decode[struct {
		Token string `json:"token" validate:"required"`
	}](conn, params)
	if err != nil {
		return nil, err
	}
	until, err := conn.Renew(asked.Token)
	return until.UTC().Format(time.RFC3339), err
}

// serve is the loop of a connection.
func (s *service) serve(ctx context.Context, conn *Conn, _ struct{}) error {
	for {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		answer, err := s.answer(ctx, conn, m)
		if err != nil {
			return err
		}
		if answer == nil {
			continue
		}
		data, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, wsroute.Message{Data: data}); err != nil {
			return err
		}
	}
}

// answer returns the answer to a message; nil is none. An error closes the connection.
func (s *service) answer(ctx context.Context, conn *Conn, m wsroute.Message) (any, error) {
	batch, err := wsroute.Decode[[]json.RawMessage](conn, m)
	bad, _ := errors.AsType[*wsroute.MessageError](err)
	switch {
	case bad != nil && bad.Reason == "invalid_json":
		return failed(errParse, nil), nil
	case bad != nil && bad.Reason == "invalid_message": // it is no list
		if r := s.one(ctx, conn, m.Data); r != nil {
			return r, nil
		}
		return nil, nil
	case err != nil:
		return nil, err
	case len(batch) == 0:
		return failed(errRequest, nil), nil
	case len(batch) > maxBatch:
		return failed(errTooLong, nil), nil
	}
	var answers []*response
	for _, data := range batch {
		if r := s.one(ctx, conn, data); r != nil {
			answers = append(answers, r)
		}
	}
	if answers == nil {
		return nil, nil
	}
	return answers, nil
}

// one handles a request. It returns nil for a notification.
func (s *service) one(ctx context.Context, conn *Conn, data []byte) *response {
	r, err := wsroute.Decode[request](conn, wsroute.Message{Data: data})
	if err != nil || !r.valid() {
		return failed(errRequest, nil)
	}
	result, failure := s.call(ctx, conn, r)
	switch {
	case r.ID == nil:
		return nil
	case failure != nil:
		return failed(failure, r.ID)
	}
	return &response{Version: "2.0", Result: result, ID: r.ID}
}

// call calls a method.
func (s *service) call(ctx context.Context, conn *Conn, r request) (json.RawMessage, *rpcError) {
	m, ok := s.methods[r.Method]
	if !ok {
		return nil, errNoMethod
	}
	result, err := m(ctx, conn, r.Params)
	if err != nil {
		return nil, failure(ctx, r.Method, err)
	}
	data, err := json.Marshal(result)
	if err != nil {
		return nil, failure(ctx, r.Method, err)
	}
	return data, nil
}

// failure returns the error object for an error of a method. What was not meant for the peer is
// logged.
func failure(ctx context.Context, method string, err error) *rpcError {
	if bad, ok := errors.AsType[*wsroute.MessageError](err); ok {
		return &rpcError{-32602, "Invalid params", &errorData{Reason: bad.Reason, Errors: bad.Errors}}
	}
	if r, ok := errors.AsType[*depends.Rejection](err); ok {
		return &rpcError{-32000, "Refused", &errorData{Reason: r.Reason, Detail: r.Detail}}
	}
	if ctx.Err() == nil {
		slog.ErrorContext(ctx, "method failed", "method", method, "err", err)
	}
	return errInternal
}

func failed(e *rpcError, id json.RawMessage) *response {
	return &response{Version: "2.0", Error: e, ID: id}
}
