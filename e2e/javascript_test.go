package e2e_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestJavaScriptBehaviour and TestTypeScriptBehaviour run programs in the
// sandbox and with the same Node outside, side by side, as TestBehaviour does
// for Python.
func TestJavaScriptBehaviour(t *testing.T) {
	t.Parallel()
	behaves(t, language{name: "javascript", file: "main.js"}, 150)
}

func TestTypeScriptBehaviour(t *testing.T) {
	t.Parallel()
	behaves(t, language{name: "typescript", file: "main.ts"}, 35)
}

func behaves(t *testing.T, l language, least int) {
	archives := must(filepath.Glob("testdata/" + l.name + "/*.txtar"))(t)
	if len(archives) < least {
		t.Fatalf("%d programs", len(archives))
	}
	l.argv0, l.bin = "node", filepath.Join(t.TempDir(), "node")
	if err := os.Symlink(nodeBinary(t), l.bin); err != nil {
		t.Fatal(err)
	}
	sideBySide(t, archives, l)
}

// nodeBinary is the Node that the sandboxes have.
func nodeBinary(t testing.TB) string {
	t.Helper()
	if own := os.Getenv("PYTH_ON_NODE"); own != "" {
		return own
	}
	fetched := fetchedNode(t)
	if len(fetched) != 1 {
		t.Fatalf("there are %d binaries of Node in %s", len(fetched), imageDir)
	}
	return fetched[0]
}

// fetchedNode is what the first run has fetched.
func fetchedNode(t testing.TB) []string {
	t.Helper()
	return must(filepath.Glob(filepath.Join(imageDir, "node-*")))(t)
}
