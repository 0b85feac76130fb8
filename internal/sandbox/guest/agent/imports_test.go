package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestImportsUsual(t *testing.T) {
	seen := imports{}
	programs := []string{
		"import json, random as r\nfrom collections import deque\nprint('import csv')",
		"  import json; import re\nfrom urllib.parse import quote\nimport numpy, .\nfrom . import x\nimport\nfrom",
		"try:\n\timport random\nexcept ImportError: pass\nfrom urllib.parse import (\n    quote)\n" + strings.Repeat("#", scannedBytes) + "\nimport re",
	}
	for _, p := range programs {
		seen.add(scanned([]byte(p)))
	}
	if diff := cmp.Diff([]string{"json", "random", "urllib.parse"}, slices.Sorted(slices.Values(seen.usual()))); diff != "" {
		t.Error(diff)
	}
	if len(seen) != 5 {
		t.Errorf("unexpected modules: %v", seen)
	}
}
