// Package schema describes Go types in JSON Schema, draft 7: as they are received, by
// encoding/json and the rules of go-playground/validator, and as they are sent.
//
// The two differ. A received member is required if its zero value breaks a rule; a sent one
// unless it has omitempty or omitzero. A received list may be null unless a rule refuses it; a
// sent one is null whenever it is nil.
//
// A rule is translated only if the schema then refuses what the validator refuses, and nothing
// else. Any other stands word for word in "x-validate", beside what could be translated. This
// is about the JSON that encoding/json itself writes for the type: exact names, and null only
// where a nil value is. Members that are left out count as well. Two limits are JSON's own: -0
// is 0, and a rule that a program registers under a name of the validator's is taken for
// the validator's.
package schema
