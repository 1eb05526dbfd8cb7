package schematest

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/dlclark/regexp2"

	"example.com/usher/wsroute/asyncapi/internal/schema"
)

// TestPatternsAreECMAScript: browsers read the patterns as Go does.
func TestPatternsAreECMAScript(t *testing.T) {
	chance := seeded(t)
	seen := map[string]bool{}
	for _, typ := range slices.Concat(patternedTypes(), broad) {
		var doc any
		if err := json.Unmarshal([]byte(compile(t, typ, schema.Received).text), &doc); err != nil {
			t.Fatal(err)
		}
		patterns(doc, seen)
	}
	for pattern := range seen {
		ours := regexp.MustCompile(pattern)
		theirs, err := regexp2.Compile(pattern, regexp2.ECMAScript)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		for range 500 {
			s := text(chance)
			got, err := theirs.MatchString(s)
			if want := ours.MatchString(s); err != nil || got != want {
				t.Fatalf("%s on %q: %t, %v; Go says %t", pattern, s, got, err, want)
			}
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d patterns", len(seen))
	}
}

// patterns collects the patterns within a schema.
func patterns(v any, seen map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, item := range v {
			if pattern, ok := item.(string); ok && name == "pattern" {
				seen[pattern] = true
			}
			patterns(item, seen)
		}
	case []any:
		for _, item := range v {
			patterns(item, seen)
		}
	}
}
