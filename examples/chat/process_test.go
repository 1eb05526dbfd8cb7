package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// asProgram is the variable that makes the test binary the program.
const asProgram = "CHAT_TEST_AS_PROGRAM"

// stopWithin is how long the program may take to stop.
const stopWithin = 5 * time.Second

// program runs the program, with the environment's CHAT_KEY replaced by env.
func program(t *testing.T, env []string, args ...string) (cmd *exec.Cmd, stdout io.Reader, stderr *bytes.Buffer) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CHAT_KEY=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, asProgram+"=1"), env...)
	stderr = new(bytes.Buffer)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, stderr
}

func TestProcess(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			cmd, stdout, stderr := program(t, nil, "-addr", "127.0.0.1:0")
			lines := bufio.NewReader(stdout)
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("no line on stdout: %v\n%s", err, stderr)
			}
			base := strings.TrimSpace(line)
			curl, err := lines.ReadString('\n')
			if answer := runs(t, curl); err != nil || !strings.Contains(answer, `"access_token":"eyJ`) {
				t.Errorf("%q, %v: got %s", curl, err, answer)
			}
			ws := connect(t, base, signIn(t, base))
			defer ws.Close()
			_ = ws.SetReadDeadline(time.Now().Add(2 * stopWithin))
			if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"say","ref":1,"text":"hi"}`)); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{`{"type":"members","users":["alice"]}`, `{"type":"said","ref":1,"id":`} {
				if _, got, err := ws.ReadMessage(); err != nil || !strings.HasPrefix(string(got), want) {
					t.Fatalf("got %s, %v, want %s", got, err, want)
				}
			}

			asked := time.Now()
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			var closed *websocket.CloseError
			if _, _, err := ws.ReadMessage(); !errors.As(err, &closed) || closed.Code != websocket.CloseServiceRestart {
				t.Errorf("the client saw %v, want 1012", err)
			}
			rest, _ := io.ReadAll(lines)
			if err := cmd.Wait(); err != nil || len(rest) > 0 {
				t.Errorf("it ended with %v, and wrote %q to stdout after its URL", err, rest)
			}
			if took := time.Since(asked); took > stopWithin {
				t.Errorf("it took %v to stop", took)
			}
			if strings.Contains(stderr.String(), "GIN") || strings.Contains(stderr.String(), "eyJ") {
				t.Errorf("stderr is\n%s", stderr)
			}
		})
	}
}

func TestProcessWithAShortKey(t *testing.T) {
	for _, key := range []string{"hunter2", ""} {
		cmd, stdout, stderr := program(t, []string{"CHAT_KEY=" + key}, "-addr", "127.0.0.1:0")
		printed, _ := io.ReadAll(stdout)
		err := cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || len(printed) > 0 {
			t.Errorf("CHAT_KEY=%q ended with %v and %q, want exit code 1 and no URL", key, err, printed)
		}
		if text := stderr.String(); !strings.Contains(text, "CHAT_KEY") || !strings.Contains(text, "32 bytes") || strings.Contains(text, "hunter2") {
			t.Errorf("CHAT_KEY=%q: stderr is %q, want the reason without the key", key, text)
		}
	}
}

// runs does what a command line with curl does, also where there is none.
func runs(t *testing.T, line string) string {
	t.Helper()
	if curl, err := exec.LookPath("curl"); err == nil {
		line = strings.Replace(line, "curl", curl+" -s", 1)
		answer, err := exec.CommandContext(t.Context(), "sh", "-c", line).Output()
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		return string(answer)
	}
	_, rest, _ := strings.Cut(line, "-d '")
	form, address, _ := strings.Cut(rest, "' ")
	response, err := http.Post(strings.TrimSpace(address), "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	return string(answer)
}

// TestProcessExplains what guards its WebSockets, and ends.
func TestProcessExplains(t *testing.T) {
	cmd, stdout, stderr := program(t, nil, "-explain")
	printed, _ := io.ReadAll(stdout)
	if err := cmd.Wait(); err != nil || !strings.Contains(string(printed), "GET /ws/rooms/:room") || !strings.Contains(string(printed), "?ticket=<credential>") {
		t.Errorf("it ended with %v and printed\n%s%s", err, printed, stderr)
	}
}

// signIn gets a token for alice.
func signIn(t *testing.T, base string) string {
	t.Helper()
	response, err := http.PostForm(base+"/token", url.Values{"username": {"alice"}, "password": {"wonderland"}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.AccessToken
}

// connect joins a room as the page does.
func connect(t *testing.T, base, token string) *websocket.Conn {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme, u.Path, u.RawQuery = "ws", "/ws/rooms/lobby", url.Values{"token": {token}}.Encode()
	ws, response, err := websocket.DefaultDialer.DialContext(t.Context(), u.String(), http.Header{"Origin": {base}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return ws
}
