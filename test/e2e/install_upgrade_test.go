package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// earlierCommit is the commit with the earlier version from which
// TestUpgradeFromEarlierCommit upgrades.
const earlierCommit = "ab86c5c8bbe649d8aeca6073b93825206feb1d30"

// buildEarlier returns the path of the binary of the earlier commit. It builds the
// binary only once and keeps it in the folder bin.
func buildEarlier(t *testing.T) string {
	t.Helper()
	path := must(filepath.Abs("../../bin/earlier/" + earlierCommit))(t)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	tree := filepath.Join(t.TempDir(), "tree")
	run := func(name string, args ...string) {
		t.Helper()
		// Do not use t.Context() itself, because it ends before the function that removes
		// the tree is called.
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
		cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v: %s", name, args, err, out)
		}
	}
	run("git", "-C", "../..", "worktree", "add", "--detach", tree, earlierCommit)
	t.Cleanup(func() { run("git", "-C", "../..", "worktree", "remove", "--force", tree) })
	run("make", "-C", tree, "build")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(filepath.Join(tree, "bin/pyth-on"), path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUpgradeFromEarlierCommit starts this version of the server with the data
// directory of an earlier version. After the upgrade, the earlier version must refuse
// to use the data directory.
func TestUpgradeFromEarlierCommit(t *testing.T) {
	onlyDeep(t, "it compiles an earlier version")
	t.Parallel()
	earlier := buildEarlier(t)
	data := t.TempDir()
	start := func(program string) *server {
		t.Helper()
		s := newServer(data)
		s.program = program
		args := append([]string{"serve", "--addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--rate-limit=off", "--node=" + nodeBinary(t), "--data-dir=" + data}, noStock...)
		if err := s.begin(nil, args...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.stop(t) })
		if err := s.waitUntilServing(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start(earlier)
	a := s.register(t)
	s.call(t, a, "PUT", "/api/v1/secrets/TOKEN", object{"value": "a value from the earlier version"}).want(t, 201, nil)
	before := a.execute(t, object{"code": "print(6 * 7)"})
	s.stop(t)

	a.server = start(binary)
	a.execute(t, object{"code": "import os\nprint(len(os.environ['TOKEN']))", "secrets": []string{"TOKEN"}}).prints(t, "32\n")
	a.server.call(t, a, "GET", "/api/v1/executions/"+before.ID, nil).want(t, 200, nil)
	a.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, nil)
	a.server.stop(t)

	out, err := exec.CommandContext(t.Context(), earlier, "serve", "--addr=127.0.0.1:0", "--node=off", "--data-dir="+data).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "newer version") {
		t.Errorf("the earlier version started with a newer database: %v: %s", err, out)
	}
}
