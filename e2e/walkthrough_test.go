package e2e

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// printed is the token that the program prints for a name.
func printed(t *testing.T, name string) string {
	t.Helper()
	path, err := walkthrough()
	if err != nil {
		t.Fatalf("the example does not build: %v", err)
	}
	cmd := exec.Command(path, "-token", name)
	cmd.Env = append(os.Environ(), "KEY="+key)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// fills types into an element, over what it has.
func (w *window) fills(id, text string) {
	w.t.Helper()
	value[any](w, `document.getElementById("`+id+`").select()`)
	w.has(id)
	w.types(text)
}

// TestWalkthrough: greeted, refused with the reason, read to, and told of the end.
func TestWalkthrough(t *testing.T) {
	s := start(t, walkthrough, free(t), key)
	w := open(t, s.url)
	w.inspects("walkthrough-1-new")
	w.fills("name", "ada"+kb.Enter)
	w.says("greet-out", "Closed with 1000.")
	if got := w.counts("#greet-out .heard"); got != 2 {
		t.Errorf("greeted %d times, not twice", got)
	}
	w.fills("times", "9"+kb.Enter)
	w.says("greet-out", "Refused with 422 invalid_parameters")
	w.says("greet-out", "query times: lte")
	w.fills("name", "4da"+kb.Enter)
	w.says("greet-out", "path name: alpha")

	w.clicks("connect")
	w.says("read-out", "Refused with 401 credentials_required")
	w.fills("token", "not a token"+kb.Enter)
	w.says("read-out", "No browser can offer that as a token.")
	w.fills("token", printed(t, "mallory")+kb.Enter)
	w.says("read-out", "Refused with 403 banned")
	w.inspects("walkthrough-2-refused")

	w.fills("token", printed(t, "ada")+kb.Enter)
	w.has("line")
	w.types("<b>a line</b>" + kb.Enter)
	w.says("read-out", "ada: <b>a line</b>")
	w.inspects("walkthrough-3-reading")
	w.clicks("disconnect")
	w.says("read-out", "Closed with 1000.")
	w.has("connect")
	w.types(kb.Enter)
	w.has("line")
	s.end(t, syscall.SIGINT)
	w.says("read-out", "Closed with 1012 server_restart.")
	w.types(kb.Enter) // the focus is on Connect again
	w.says("read-out", "The server cannot be reached. Does it run?")
}
