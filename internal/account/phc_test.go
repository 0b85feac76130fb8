package account

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParsePHCReadsString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := phc{
			parameters{
				memoryKiB:   rapid.Uint32Range(8, 256*1024).Draw(t, "memory"),
				time:        rapid.Uint32Range(1, 10).Draw(t, "time"),
				parallelism: rapid.Uint8Range(1, 16).Draw(t, "parallelism"),
			},
			rapid.SliceOfN(rapid.Byte(), 8, 64).Draw(t, "salt"),
			rapid.SliceOfN(rapid.Byte(), 16, 64).Draw(t, "hash"),
		}
		got, err := parsePHC(want.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, *got, cmp.AllowUnexported(phc{}, parameters{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestParsePHCRefusesMalformedAndCostlyHashes(t *testing.T) {
	const good = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	if _, err := parsePHC(good); err != nil {
		t.Fatal(err)
	}
	replace := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	for name, s := range map[string]string{
		"nothing":                "",
		"a dollar":               "$",
		"another function":       replace("argon2id", "argon2i"),
		"another version":        replace("v=19", "v=16"),
		"no version":             replace("$v=19", ""),
		"a password in bcrypt":   "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"text before it":         "x" + good,
		"text after it":          good + "$",
		"too much memory":        replace("m=19456", "m=262145"),
		"all memory":             replace("m=19456", "m=4294967295"),
		"memory that overflows":  replace("m=19456", "m=4294967304"),
		"too little memory":      replace("m=19456", "m=7"),
		"negative memory":        replace("m=19456", "m=-8"),
		"too much time":          replace("t=2", "t=11"),
		"no time":                replace("t=2", "t=0"),
		"too many lanes":         replace("p=1", "p=17"),
		"no lanes":               replace("p=1", "p=0"),
		"lanes that overflow":    replace("p=1", "p=257"),
		"costs in other order":   replace("m=19456,t=2", "t=2,m=19456"),
		"a cost missing":         replace(",p=1", ""),
		"a cost too many":        replace("p=1", "p=1,x=1"),
		"a cost twice":           replace("t=2", "m=19456"),
		"a leading zero":         replace("t=2", "t=02"),
		"a plus":                 replace("t=2", "t=+2"),
		"a short salt":           replace("c29tZXNhbHQ", "c29tZQ"),
		"a long salt":            replace("c29tZXNhbHQ", strings.Repeat("c29t", 22)),
		"a salt with padding":    replace("c29tZXNhbHQ", "c29tZXNhbHQ="),
		"a salt with stray bits": replace("c29tZXNhbHQ", "c29tZXNhbHR"),
		"a salt in two lines":    replace("c29tZXNhbHQ", "c29t\nZXNhbHQ"),
		"a short hash":           replace("$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "$nf65EOgLrQMR"),
		"no hash":                replace("nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", ""),
		"a hash for URLs":        replace("R/uIP", "R_uIP"),
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := parsePHC(s); err == nil {
				t.Errorf("%q was read as %+v", s, p)
			}
		})
	}
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.String() != s || p.memoryKiB > 256*1024 || p.time > 10 || p.parallelism > 16 || len(p.salt) > 64 || len(p.hash) > 64 {
			t.Errorf("%q was read as %+v", s, p)
		}
	})
}
