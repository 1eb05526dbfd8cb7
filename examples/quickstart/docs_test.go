package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"example.com/usher/depends"
)

// TestAMistake: nobody provides a User.
func TestAMistake(t *testing.T) {
	deps := depends.New()
	depends.Provide(deps, moderator)
	_, err := routes(deps).Handler()
	want, read := os.ReadFile("testdata/mistake.txt")
	if err == nil || read != nil {
		t.Fatal(err, read)
	}
	text := regexp.MustCompile(`(\w\.go):\d+`).ReplaceAllString(err.Error(), "$1:N")
	if text = strings.NewReplacer("quickstart/", "", "quickstart.", "main.").Replace(text); strings.TrimSpace(text) != strings.TrimSpace(string(want)) {
		t.Errorf("got\n%s", text)
	}
}
