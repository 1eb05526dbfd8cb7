package main

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// peer is one of the servers. Its source is the directory of its name.
type peer struct {
	name, title string
	tools       []string // programs that the machine must have
	// install prepares dir, which has a copy of the source of a peer that is not written in Go.
	install func(ctx context.Context, dir string) error
	// command serves the room from dir.
	command func(dir, port string) []string
	// versions are those of the language and the libraries.
	versions func(ctx context.Context, dir string) (string, error)
}

// peers are all of them, usher first.
var peers = []peer{
	goPeer("usher", "usher", "github.com/gin-gonic/gin"),
	goPeer("gin", "gin + gorilla by hand", "github.com/gin-gonic/gin", "github.com/gorilla/websocket",
		"github.com/golang-jwt/jwt/v5"),
	{
		name: "axum", title: "axum", tools: []string{"cargo"},
		install: func(ctx context.Context, dir string) error {
			return do(ctx, dir, "cargo", "build", "--release", "--quiet")
		},
		command:  program("", "target/release/peer"),
		versions: rustVersions,
	},
	{
		name: "node", title: "Node ws", tools: []string{"node", "npm"},
		install: func(ctx context.Context, dir string) error {
			return do(ctx, dir, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund")
		},
		command:  program("node", "server.js"),
		versions: nodeVersions,
	},
	pythonPeer("litestar", "Litestar + uvicorn"),
	pythonPeer("fastapi", "FastAPI + uvicorn"),
}

// program is the command that runs a file of a peer's directory, by an interpreter if need be.
func program(interpreter, file string) func(dir, port string) []string {
	return func(dir, _ string) []string {
		path := filepath.Join(dir, file)
		if interpreter == "" {
			return []string{path}
		}
		return []string{interpreter, path}
	}
}

func goPeer(name, title string, modules ...string) peer {
	return peer{
		name: name, title: title, tools: []string{"go"},
		install: func(ctx context.Context, dir string) error {
			return do(ctx, ".", "go", "build", "-o", filepath.Join(dir, "peer"), "./"+name)
		},
		command: program("", "peer"),
		versions: func(_ context.Context, dir string) (string, error) {
			info, err := buildinfo.ReadFile(filepath.Join(dir, "peer"))
			if err != nil {
				return "", err
			}
			all := []string{info.GoVersion}
			for _, dep := range info.Deps {
				for _, module := range modules {
					if dep.Path == module {
						all = append(all, strings.TrimPrefix(dep.Path, "github.com/")+" "+dep.Version)
					}
				}
			}
			return strings.Join(all, ", "), nil
		},
	}
}

// pythonPeer has one worker, as all other servers are one process, and uvicorn's own choices but
// for the size of messages and the log.
func pythonPeer(name, title string) peer {
	return peer{
		name: name, title: title, tools: []string{"python3"},
		install: func(ctx context.Context, dir string) error {
			return errors.Join(
				do(ctx, dir, "python3", "-m", "venv", "venv"),
				do(ctx, dir, "venv/bin/python", "-m", "pip", "install", "--quiet",
					"--requirement", "requirements.txt"),
			)
		},
		command: func(dir, port string) []string {
			return []string{
				filepath.Join(dir, "venv/bin/python"), "-m", "uvicorn", "app:app", "--app-dir", dir,
				"--host", "127.0.0.1", "--port", port, "--workers", "1", "--loop", "uvloop",
				"--http", "httptools", "--ws", "websockets-sansio", "--ws-max-size", "65536",
				"--no-access-log", "--log-level", "warning",
			}
		},
		versions: func(ctx context.Context, dir string) (string, error) {
			return output(ctx, dir, "venv/bin/python", "-c", `import importlib.metadata as m, platform
names = "`+name+` uvicorn uvloop httptools websockets pydantic msgspec PyJWT".split()
have = {d.name for d in m.distributions()}
found = [n + " " + m.version(n) for n in names if n in have]
print(", ".join(["Python " + platform.python_version()] + found))`)
		},
	}
}

func nodeVersions(ctx context.Context, dir string) (string, error) {
	version, err := output(ctx, dir, "node", "--version")
	all := []string{"Node " + version}
	for _, name := range []string{"ws", "jsonwebtoken"} {
		text, readErr := os.ReadFile(filepath.Join(dir, "node_modules", name, "package.json"))
		var pkg struct{ Version string }
		err = errors.Join(err, readErr, json.Unmarshal(text, &pkg))
		all = append(all, name+" "+pkg.Version)
	}
	return strings.Join(all, ", "), err
}

var locked = regexp.MustCompile(
	`name = "(axum|tokio|tokio-tungstenite|jsonwebtoken)"\nversion = "([^"]+)"`)

func rustVersions(ctx context.Context, dir string) (string, error) {
	version, err := output(ctx, dir, "rustc", "--version")
	name, _, _ := strings.Cut(version, " (") // then comes its commit
	all := []string{name}
	lock, readErr := os.ReadFile(filepath.Join(dir, "Cargo.lock"))
	for _, found := range locked.FindAllSubmatch(lock, -1) {
		all = append(all, fmt.Sprintf("%s %s", found[1], found[2]))
	}
	return strings.Join(all, ", "), errors.Join(err, readErr)
}

// installation is a peer that can be started.
type installation struct {
	peer
	dir string
}

// installAll installs all peers. Each that this machine cannot have is named among the omitted,
// with the reason. Without usher there is nothing to compare.
func installAll(
	ctx context.Context, log io.Writer,
) (all []installation, omitted []string, err error) {
	for _, p := range peers {
		_, _ = fmt.Fprintf(log, "installing %s\n", p.title)
		i, err := install(ctx, p)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil && p.name == "usher":
			return nil, nil, err
		case err != nil:
			line := fmt.Sprintf("%s is left out: %v", p.title, err)
			_, _ = fmt.Fprintln(log, line)
			omitted = append(omitted, line)
		default:
			all = append(all, i)
		}
	}
	return all, omitted, nil
}

// install prepares a peer in the user's cache, unless the same source is there already.
func install(ctx context.Context, p peer) (installation, error) {
	for _, tool := range p.tools {
		if _, err := exec.LookPath(tool); err != nil {
			return installation{}, fmt.Errorf("there is no %s on this machine", tool)
		}
	}
	i, ready, err := cached(p)
	if err != nil || ready {
		return i, err
	}
	if err := os.MkdirAll(i.dir, 0o755); err != nil {
		return i, err
	}
	if p.tools[0] != "go" {
		if err := errors.Join(os.RemoveAll(i.dir), os.CopyFS(i.dir, os.DirFS(p.name))); err != nil {
			return i, err
		}
	}
	if err := p.install(ctx, i.dir); err != nil {
		return i, err
	}
	sum, err := sourceSum(p.name)
	if err != nil {
		return i, err
	}
	return i, os.WriteFile(i.stamp(), sum, 0o644)
}

func (i installation) stamp() string { return filepath.Join(i.dir, "installed.sum") }

// cached says where a peer is or would be installed, and whether this source is. A Go program is
// built again each time, which costs nothing if it has not changed.
func cached(p peer) (i installation, ready bool, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return i, false, err
	}
	i = installation{p, filepath.Join(cache, "usher", "peers", p.name)}
	want, err := sourceSum(p.name)
	if err != nil {
		return i, false, err
	}
	got, err := os.ReadFile(i.stamp())
	return i, p.tools[0] != "go" && err == nil && string(got) == string(want), nil
}

// sourceSum is a checksum of the files of a directory.
func sourceSum(dir string) ([]byte, error) {
	sum := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		_, _ = fmt.Fprintf(sum, "%s %d %s", path, len(text), text)
		return err
	})
	return fmt.Appendf(nil, "%x\n", sum.Sum(nil)), err
}

// do runs a program. Its error has the last line that the program printed.
func do(ctx context.Context, dir, name string, args ...string) error {
	_, err := output(ctx, dir, name, args...)
	return err
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		last := text[strings.LastIndexByte(text, '\n')+1:]
		return "", fmt.Errorf("%s: %w: %.200s", filepath.Base(name), err, last)
	}
	return text, nil
}
