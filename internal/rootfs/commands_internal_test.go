package rootfs

import (
	"testing"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

func TestBashVersionOfAScriptIsEmpty(t *testing.T) {
	t.Parallel()
	if got := bashVersion(tree.File(0o755, []byte("#!/bin/sh\n"))); got != "" {
		t.Errorf("a script is bash %q", got)
	}
}
