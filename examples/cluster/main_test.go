package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "a key of the tests, of 32 bytes or more"

// within bounds every wait.
const within = 20 * time.Second

// process is one of several.
type process struct {
	t      *testing.T
	router *wsroute.Router
	srv    *wstest.Server
}

// start starts a process on the broker of its settings.
func start(t *testing.T, s settings, name string) process {
	t.Helper()
	s.key = []byte(testKey)
	common := connected(t, s)
	ws, engine, err := newProcess(s, common, name, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return process{t, ws, wstest.StartHandler(t, ws, engine)}
}

func connected(t *testing.T, s settings) backbone {
	t.Helper()
	common, err := connect(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(common.close)
	return common
}

// member is a client, and what it has read while it waited for something else.
type member struct {
	*wstest.Peer[string, string]
	t    *testing.T
	read []string
}

// enters signs in and enters the lobby.
func (p process) enters(name, password string) *member {
	p.t.Helper()
	peer := wstest.Dial[string, string](p.t, p.srv, "/ws/rooms/lobby", wstest.Header("Authorization", p.signsIn(name, password)))
	return &member{Peer: peer, t: p.t}
}

// signsIn returns what a header says of the user.
func (p process) signsIn(name, password string) (authorization string) {
	p.t.Helper()
	answer := p.token(name, password)
	defer answer.Body.Close()
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || body.Token == "" {
		p.t.Fatal(answer.Status, err)
	}
	return "Bearer " + body.Token
}

func (p process) token(name, password string) *http.Response {
	p.t.Helper()
	form := url.Values{"username": {name}, "password": {password}}
	return p.posts("/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// signsOut returns the status of the answer.
func (p process) signsOut(authorization string) int {
	p.t.Helper()
	answer := p.posts("/signout", "", "Authorization", authorization)
	_ = answer.Body.Close()
	return answer.StatusCode
}

func (p process) posts(path, body, header, value string) *http.Response {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.srv.Host+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set(header, value)
	answer, err := p.srv.Client().Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer
}

// sends forgets what was read before.
func (m *member) sends(text string) {
	m.read = nil
	m.Send(text)
}

// hears reads until a message has come, whatever others come: an answer, and what the members are
// told because of it, are in no order.
func (m *member) hears(want string) {
	m.t.Helper()
	for deadline := time.Now().Add(within); !slices.Contains(m.read, want); {
		m.read = append(m.read, m.Receive())
		if time.Now().After(deadline) {
			m.t.Fatalf("%s does not come", want)
		}
	}
}

// brokers are those of the machine: a NATS server of this process, and Redis, if there is one.
func brokers(t *testing.T) map[string]settings {
	t.Helper()
	all := map[string]settings{"nats": natsOnly(t)}
	if at := startRedis(t); at != "" {
		all["redis"] = settings{redis: at}
	}
	return all
}

func natsOnly(t *testing.T) settings {
	t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	stop, err := startNATS(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return settings{nats: "nats://" + at}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func startRedis(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI_BROKERS") != "" {
			t.Fatal(err)
		}
		return ""
	}
	port := freePort(t)
	cmd := exec.Command(program, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	at := fmt.Sprintf("127.0.0.1:%d", port)
	for deadline := time.Now().Add(within); ; {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
			return "redis://" + at
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond) // nothing tells that a port is open but the port
	}
}

// TestTwoProcesses: what happens in one is seen in the other.
func TestTwoProcesses(t *testing.T) {
	for name, s := range brokers(t) {
		t.Run(name, func(t *testing.T) {
			one, two := start(t, s, "one"), start(t, s, "two")
			alice := one.enters("alice", "wonderland")
			alice.hears(`{"type":"hello","process":"one"}`)
			carol := two.enters("carol", "teaparty")
			carol.hears(`{"type":"hello","process":"two"}`)
			for _, m := range []*member{alice, carol} {
				m.hears(`{"type":"members","users":["alice","carol"]}`)
			}
			alice.sends(`{"type":"say","ref":1,"text":"hi"}`)
			alice.hears(`{"type":"said","ref":1,"from":"alice","text":"hi"}`)
			carol.hears(`{"type":"said","from":"alice","text":"hi"}`)

			alice.sends(`{"type":"kick","ref":2,"user":"carol"}`)
			alice.hears(`{"type":"error","ref":2,"reason":"insufficient_scope"}`)
			carol.sends(`{"type":"kick","ref":3,"user":"bob"}`)
			carol.hears(`{"type":"error","ref":3,"reason":"not_here"}`)
			carol.sends(`{"type":"kick","ref":4,"user":"alice"}`)
			carol.hears(`{"type":"kicked","ref":4,"user":"alice"}`)
			if end := alice.Closed(); end.Code != codeKicked || end.Reason != "kicked" {
				t.Errorf("closed with %v", end)
			}
			carol.hears(`{"type":"members","users":["carol"]}`)

			carol.read = nil
			bob := one.enters("bob", "builder")
			carol.hears(`{"type":"members","users":["bob","carol"]}`)
			carol.read = nil
			go func() { _, _ = one.router.Drain(t.Context()) }()
			if end := bob.Closed(); end.Code != 1012 {
				t.Errorf("closed with %v", end)
			}
			carol.hears(`{"type":"members","users":["carol"]}`)
		})
	}
}

// TestSignOut ends the user's connections in all processes, and is in the log.
func TestSignOut(t *testing.T) {
	for name, s := range brokers(t) {
		t.Run(name, func(t *testing.T) {
			one, two := start(t, s, "one"), start(t, s, "two")
			alices := []*member{one.enters("alice", "wonderland"), two.enters("alice", "wonderland")}
			carol := two.enters("carol", "teaparty")
			carol.hears(`{"type":"members","users":["alice","carol"]}`)
			if got := one.signsOut("Bearer nonsense"); got != http.StatusUnauthorized {
				t.Errorf("with no token: %d", got)
			}
			carol.sends(`{"type":"say","ref":1,"text":"hi"}`)
			carol.hears(`{"type":"said","ref":1,"from":"carol","text":"hi"}`)
			if got := two.signsOut(one.signsIn("alice", "wonderland")); got != http.StatusNoContent {
				t.Errorf("signing out: %d", got)
			}
			for _, m := range alices {
				if end := m.Closed(); end.Code != 3000 || end.Reason != "revoked" {
					t.Errorf("closed with %v", end)
				}
			}
			carol.hears(`{"type":"members","users":["carol"]}`)
			entries, _, err := connected(t, s).revocations.Since(t.Context(), time.Minute)
			if err != nil || len(entries) != 1 {
				t.Errorf("the log has %d entries, %v", len(entries), err)
			}
		})
	}
}

func TestSignIn(t *testing.T) {
	p := start(t, natsOnly(t), "one")
	for _, wrong := range [][2]string{{"alice", "builder"}, {"eve", ""}, {"", ""}} {
		answer := p.token(wrong[0], wrong[1])
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", wrong, answer.Status)
		}
	}
	peer := wstest.Dial[string, string](t, p.srv, "/ws/rooms/lobby")
	if end := peer.Closed(); end.Code != 3000 { // which a page can read, other than a 401
		t.Errorf("without a token: %v", end)
	}
}

// TestBadSettings: each has an error that says what to do.
func TestBadSettings(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	closed := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	key := []byte(testKey)
	for want, s := range map[string]settings{
		"CLUSTER_KEY must have 32 bytes":        {key: []byte("short")},
		"-embed: not an ip:port":                {key: key, embed: "x"},
		"there is one broker":                   {key: key, nats: "nats://x", redis: "redis://x"},
		"-nats nats://" + closed:                {key: key, nats: "nats://" + closed},
		"-nats nats://" + taken.Addr().String(): {key: key, nats: "nats://" + taken.Addr().String()}, // it never answers
		"-redis x":                              {key: key, redis: "x"},
		"Config.Broker was not there within 5s": {key: key, redis: "redis://" + closed, addr: "127.0.0.1:0"},
		"bind: address already in use":          {key: key, redis: "redis://" + closed, addr: taken.Addr().String()},
		`TrustedProxies: "nobody"`:              {key: key, redis: "redis://" + closed, addr: "127.0.0.1:0", proxies: []string{"nobody"}},
	} {
		begun := time.Now()
		err := run(t.Context(), s, io.Discard)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%q takes %v", want, took)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := startNATS(taken.Addr().String()); err == nil || !strings.Contains(err.Error(), "if there is one, say -nats") {
		t.Errorf("got %v", err)
	}
}

// TestComposeFile: its flags are those of the program, and nginx.conf names its services.
func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("compose.yaml")
	conf, errConf := os.ReadFile("nginx.conf")
	if err := errors.Join(err, errConf); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`command: \[(-addr.*)\]`).FindStringSubmatch(string(text))
	if command == nil {
		t.Fatal("no command")
	}
	for _, word := range strings.Split(command[1], ", ") {
		if name, isFlag := strings.CutPrefix(word, "-"); isFlag && !strings.Contains(string(source), fmt.Sprintf("%q", name)) {
			t.Errorf("the program has no flag %s", word)
		}
	}
	for _, service := range regexp.MustCompile(`server (\w+):8081;`).FindAllStringSubmatch(string(conf), -1) {
		if !strings.Contains(string(text), "\n  "+service[1]+":") {
			t.Errorf("compose.yaml has no service %s", service[1])
		}
	}
}

func TestNames(t *testing.T) {
	if got := names([]Member{{"b"}, {"a"}, {"b"}}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v", got)
	}
}
