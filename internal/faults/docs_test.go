package faults

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestEveryRowIsTested holds the table of the documentation to the tests.
func TestEveryRowIsTested(t *testing.T) {
	page, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	for _, file := range []string{"peer_test.go", "lifecycle_test.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, text...)
	}
	names := func(pattern string, text []byte) (found []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			found = append(found, string(m[1]))
		}
		slices.Sort(found)
		return found
	}
	rows, tests := names("`(TestRow[0-9A-Za-z]+)`", page), names(`func (TestRow\w+)\(`, code)
	if !slices.Equal(rows, tests) {
		t.Errorf("the table has %v, and there are %v", rows, tests)
	}
	for row := 19; row <= 37; row++ {
		if n := len(names(fmt.Sprintf(`(?m)^\| %d \|.*(TestRow%d)`, row, row), page)); n != 1 {
			t.Errorf("row %d stands there %d times", row, n)
		}
	}
}
