// Package schematest has tests alone: they ask a reader of JSON Schema whether schemas say of
// values what encoding/json and go-playground/validator say.
package schematest
