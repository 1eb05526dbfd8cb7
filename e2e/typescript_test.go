package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// rooms is the server of these tests, which also writes the client.
var rooms = sync.OnceValues(func() (string, error) {
	return compile("rooms", "build", "./wsroute/asyncapi/testdata/rooms")
})

// clientFiles are the tests' own, and those of the compiler that they need.
const clientFiles = "testdata/client"

// needsNode skips a test where there is no node or npm, unless CI demands it.
func needsNode(t *testing.T) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI_E2E") == "" {
			t.Skipf("%s is not installed; install Debian's nodejs and npm", name)
		}
		t.Fatalf("%s is not installed", name)
	}
}

// compiler gets TypeScript's, of the version and with the checksum of package-lock.json, and
// keeps it in the user's cache. No script of a package runs.
var compiler = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	lock, err := os.ReadFile(clientFiles + "/package-lock.json")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "usher", "typescript")
	tsc := filepath.Join(dir, "node_modules", "typescript", "bin", "tsc")
	installed, err := os.ReadFile(filepath.Join(dir, "installed"))
	if err == nil && string(installed) == string(lock) {
		return tsc, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		if err := copyFile(filepath.Join(clientFiles, name), filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return tsc, os.WriteFile(filepath.Join(dir, "installed"), lock, 0o644)
})

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// client generates the client of rooms and compiles it, and with it the file of uses and wrong
// uses, and the client of wsroute/asyncapi's own test. It returns the folder with client.js.
var client = sync.OnceValues(func() (string, error) {
	program, err := rooms()
	if err != nil {
		return "", err
	}
	tsc, err := compiler()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "usher-e2e-")
	if err != nil {
		return "", err
	}
	tidyUp = append(tidyUp, func() { _ = os.RemoveAll(dir) })
	source, err := exec.Command(program, "-typescript").Output()
	if err != nil {
		return "", err
	}
	const asyncapi = "../wsroute/asyncapi/"
	board, err := os.ReadFile(asyncapi + "testdata/board.ts")
	if err != nil {
		return "", err
	}
	runtime, err := os.ReadFile(asyncapi + "client/client.ts")
	if err != nil {
		return "", err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "board.ts"), append(board, runtime...), 0o644),
		os.WriteFile(filepath.Join(dir, "client.ts"), source, 0o644),
		os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type": "module"}`), 0o644),
		copyFile(filepath.Join(clientFiles, "types.ts"), filepath.Join(dir, "types.ts")),
	)
	if err != nil {
		return "", err
	}
	compile := exec.Command("node", tsc, "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess",
		"--noImplicitOverride", "--noUnusedLocals", "--noUnusedParameters", "--noPropertyAccessFromIndexSignature",
		"--isolatedModules", "--verbatimModuleSyntax", "--erasableSyntaxOnly",
		"--target", "ES2022", "--module", "ES2022", "--moduleResolution", "bundler",
		"--lib", "ES2022,DOM,DOM.Iterable,DOM.AsyncIterable", "client.ts", "types.ts", "board.ts")
	compile.Dir = dir
	if out, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("tsc: %w\n%s", err, out)
	}
	return dir, nil
})

// compiled is the folder of the compiled client.
func compiled(t *testing.T) string {
	t.Helper()
	needsNode(t)
	dir, err := client()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTypesOfTheClient: what is right compiles, and each wrong use in types.ts does not.
func TestTypesOfTheClient(t *testing.T) { compiled(t) }

// TestClientInFakeTime runs the tests of client.test.mjs.
func TestClientInFakeTime(t *testing.T) {
	dir := compiled(t)
	tests := exec.Command("node", "--test", clientFiles+"/client.test.mjs")
	tests.Env = append(os.Environ(), "CLIENT="+filepath.Join(dir, "client.js"))
	if out, err := tests.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTheChatHasItsClient: the page's client.js is what the compiler makes of client.ts, which a test
// in examples/chat generates. With ASYNCAPI_UPDATE set, it is written.
func TestTheChatHasItsClient(t *testing.T) {
	const source, file, update = "../examples/chat/client.ts", "../examples/chat/static/client.js", "ASYNCAPI_UPDATE"
	needsNode(t)
	tsc, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	compile := exec.Command("node", tsc, "--strict", "--target", "ES2022", "--module", "ES2022",
		"--lib", "ES2022,DOM,DOM.Iterable,DOM.AsyncIterable", "--newLine", "lf", "--outDir", dir, source)
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(dir, "client.js"))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(update) != "" {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the compiler makes of %s: run this test with %s=additive (%v)", file, source, update, err)
	}
}
