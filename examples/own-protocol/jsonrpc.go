package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Conn has messages as they are on the wire.
type Conn = wsroute.Conn[wsroute.Message, wsroute.Message]

// maxBatch is how many requests a batch may have. It counts as one message in Limits.MessageRate.
const maxBatch = 50

type request struct {
	Version string          `json:"jsonrpc" validate:"eq=2.0"`
	Method  string          `json:"method"  validate:"required"`
	Params  json.RawMessage `json:"params"`
	ID      json.RawMessage `json:"id"`
}

type response struct {
	Version string          `json:"jsonrpc"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
	ID      json.RawMessage `json:"id"`
}

type rpcError struct {
	Code    int        `json:"code"`
	Message string     `json:"message"`
	Data    *errorData `json:"data,omitempty"`
}

type errorData struct {
	Reason string               `json:"reason"`
	Errors []depends.ParamError `json:"errors,omitempty"`
}

var (
	errParse    = &rpcError{Code: -32700, Message: "Parse error"}
	errRequest  = &rpcError{Code: -32600, Message: "Invalid Request"}
	errNoMethod = &rpcError{Code: -32601, Message: "Method not found"}
	errInternal = &rpcError{Code: -32603, Message: "Internal error"}
	errTooLong  = &rpcError{-32000, "Refused", &errorData{Reason: "batch_too_long"}}
)

type method func(ctx context.Context, conn *Conn, params json.RawMessage) (any, error)

type service struct {
	methods map[string]method
	calls   []wsroute.RouteOption // that the methods make
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

func (s *service) serve(ctx context.Context, conn *Conn, _ struct{}) error {
	for {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if answer := s.answer(ctx, conn, m.Data); m.Binary {
			return &wsroute.MessageError{Code: 1003, Reason: "binary_not_accepted"}
		} else if answer != nil {
			data, err := json.Marshal(answer)
			if err = errors.Join(err, conn.Send(ctx, wsroute.Message{Data: data})); err != nil {
				return err
			}
		}
	}
}

// answer returns the answer to a message; nil is none.
func (s *service) answer(ctx context.Context, conn *Conn, data []byte) any {
	var batch []json.RawMessage
	switch err := json.Unmarshal(data, &batch); {
	case !json.Valid(data):
		return failed(errParse, nil)
	case err != nil: // it is no list
		return s.one(ctx, conn, data)
	case len(batch) == 0:
		return failed(errRequest, nil)
	case len(batch) > maxBatch:
		return failed(errTooLong, nil)
	}
	var answers []any
	for _, data := range batch {
		if r := s.one(ctx, conn, data); r != nil {
			answers = append(answers, r)
		}
	}
	if answers == nil {
		return nil
	}
	return answers
}

// one handles a request; nil answers a notification.
func (s *service) one(ctx context.Context, conn *Conn, data []byte) any {
	r, err := wsroute.Decode[request](conn, wsroute.Message{Data: data})
	if err != nil || r.Params != nil && !strings.ContainsRune("[{", rune(r.Params[0])) ||
		r.ID != nil && strings.ContainsRune("[{tf", rune(r.ID[0])) {
		return failed(errRequest, nil)
	}
	call, ok := s.methods[r.Method]
	if !ok && r.ID != nil {
		return failed(errNoMethod, r.ID)
	} else if !ok {
		return nil
	}
	result, err := call(ctx, conn, r.Params)
	encoded, bad := json.Marshal(result)
	err = cmp.Or(err, bad)
	switch {
	case r.ID == nil:
		return nil
	case err != nil:
		return failed(failure(ctx, r.Method, err), r.ID)
	}
	return &response{Version: "2.0", Result: encoded, ID: r.ID}
}

// failure logs what was not meant for the peer.
func failure(ctx context.Context, method string, err error) *rpcError {
	if bad, ok := errors.AsType[*wsroute.MessageError](err); ok {
		return &rpcError{-32602, "Invalid params", &errorData{Reason: bad.Reason, Errors: bad.Errors}}
	}
	if r, ok := errors.AsType[*depends.Rejection](err); ok {
		return &rpcError{-32000, "Refused", &errorData{Reason: r.Reason}}
	}
	slog.ErrorContext(ctx, "method failed", "method", method, "err", err)
	return errInternal
}

func failed(e *rpcError, id json.RawMessage) *response {
	return &response{Version: "2.0", Error: e, ID: id}
}
