package schema

import (
	"testing"

	"github.com/go-playground/validator/v10"
)

// TestUnsaid: the rules are the validator's, and those that are said to refuse an empty text
// do so.
func TestUnsaid(t *testing.T) {
	v := validator.New()
	for _, rule := range unsaidFilled {
		if v.Var("", rule) == nil {
			t.Errorf("%s takes an empty text", rule)
		}
	}
	known := append([]string{}, unsaid...)
	for name := range patterns {
		known = append(known, name)
	}
	for _, rule := range known {
		func() {
			defer func() {
				if r := recover(); r != nil && r == "Undefined validation function '"+rule+"' on field ''" {
					t.Errorf("%s is no rule of the validator's: %v", rule, r)
				}
			}()
			_ = v.Var("a", rule)
		}()
	}
}
