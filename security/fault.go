package security

import "example.com/usher/depends"

// faults are the reasons why a configuration must not start.
type faults []depends.SchemeFault

// addIf adds a reason if a check has found something bad.
func (f *faults) addIf(bad bool, fact, hint string) {
	if bad {
		*f = append(*f, depends.SchemeFault{Fact: fact, Hint: hint})
	}
}
