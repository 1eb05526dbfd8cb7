package main

import (
	"os"
	"strings"
	"testing"
)

// TestThePageShowsTheFile: each block of nginx's language in docs/deploying.md stands in
// nginx.conf, line for line, but for what a line "# …" leaves out.
func TestThePageShowsTheFile(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploying.md")
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```nginx\n")[1:]
	if len(blocks) == 0 {
		t.Error("docs/deploying.md shows nothing of nginx.conf")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		rest := "\n" + string(conf)
		for _, part := range elided(block) {
			_, after, found := strings.Cut(rest, "\n"+part+"\n")
			if !found {
				t.Errorf("nginx.conf does not have this, or has it elsewhere:\n%s", part)
			}
			rest = "\n" + after
		}
	}
}

// elided are the parts of a block between its lines "# …".
func elided(block string) (parts []string) {
	var part []string
	for _, line := range append(strings.Split(block, "\n"), "# …") {
		if strings.TrimSpace(line) != "# …" {
			part = append(part, line)
			continue
		}
		if text := strings.Trim(strings.Join(part, "\n"), "\n"); text != "" {
			parts = append(parts, text)
		}
		part = nil
	}
	return parts
}
