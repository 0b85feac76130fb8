package account

import (
	"strings"
	"testing"
)

func TestNewKeyIsWellFormedAndUnique(t *testing.T) {
	seen := map[string]bool{}
	counts := map[rune]int{}
	const keys = 2000
	for range keys {
		key, err := newKey()
		if err != nil {
			t.Fatal(err)
		}
		if !wellFormedKey(key) || len(key) != 44 || !strings.HasPrefix(key, "pyapi_") || seen[key] {
			t.Fatalf("got key %q", key)
		}
		seen[key] = true
		for _, c := range key[6:38] {
			counts[c]++
		}
	}
	// The test permits a deviation of 30 %. This is ten standard deviations, so the test
	// does not fail by chance.
	expected := keys * 32 / 62
	for _, c := range base62 {
		if n := counts[c]; n < expected*7/10 || n > expected*13/10 {
			t.Errorf("%c occurs %d times, want about %d", c, n, expected)
		}
	}
}

// TestWellFormedKeyChecksCRC32 uses the published CRC-32 of "123456789", which is
// 0xcbf43926.
func TestWellFormedKeyChecksCRC32(t *testing.T) {
	if got := checksum("123456789"); got != decimalInBase62(0xcbf43926) {
		t.Errorf("got %s", got)
	}
	if got := checksum(""); got != "000000" {
		t.Errorf("got %s", got)
	}
}

func decimalInBase62(n uint64) string {
	s := ""
	for range 6 {
		s = string(base62[n%62]) + s
		n /= 62
	}
	return s
}

func FuzzKey(f *testing.F) {
	key, err := newKey()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{key, key[:43], key + "0", "pyapi_", "", strings.Repeat("é", 22), strings.ToUpper(key), "pyapi_\xff" + key[7:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !wellFormedKey(s) {
			return
		}
		if len(s) != 44 || !strings.HasPrefix(s, "pyapi_") || strings.Trim(s[6:], base62) != "" || checksum(s[:38]) != s[38:] {
			t.Errorf("the invalid key %q is well-formed", s)
		}
	})
}
