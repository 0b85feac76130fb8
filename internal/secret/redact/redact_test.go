package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

func secrets(values ...string) []pyth.SecretValue {
	var all []pyth.SecretValue
	for i, v := range values {
		all = append(all, pyth.SecretValue{Name: fmt.Sprintf("S%d", i), Value: []byte(v)})
	}
	return all
}

func TestTextReplacesValuesInAllForms(t *testing.T) {
	const value = "a/b+c d<é>\"'\n\\Käse?&~!"
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	inner := string(quoted[1 : len(quoted)-1])
	for name, shown := range map[string]string{
		"as it is":                value,
		"JSON by Go":              inner,
		"JSON by JavaScript":      `a/b+c d<é>\"'\n\\Käse?&~!`,
		"JSON by Python":          `a/b+c d<\u00e9>\"'\n\\K\u00e4se?&~!`,
		"JSON by PHP":             `a\/b+c d<é>\"'\n\\Käse?&~!`,
		"repr by Python":          `a/b+c d<é>"'\n\\Käse?&~!`,
		"base64":                  base64.StdEncoding.EncodeToString([]byte(value)),
		"base64 without padding":  base64.RawStdEncoding.EncodeToString([]byte(value)),
		"base64 for URLs":         base64.URLEncoding.EncodeToString([]byte(value)),
		"hexadecimal":             hex.EncodeToString([]byte(value)),
		"hexadecimal in capitals": strings.ToUpper(hex.EncodeToString([]byte(value))),
		"a query by Go":           url.QueryEscape(value),
		"encodeURIComponent":      "a%2Fb%2Bc%20d%3C%C3%A9%3E%22'%0A%5CK%C3%A4se%3F%26~!",
		"encodeURI":               "a/b+c%20d%3C%C3%A9%3E%22'%0A%5CK%C3%A4se?&~!",
		"urllib.parse.quote":      "a/b%2Bc%20d%3C%C3%A9%3E%22%27%0A%5CK%C3%A4se%3F%26~%21",
		"percent signs with digits in lower case": "a%2fb%2bc%20d%3c%c3%a9%3e%22%27%0a%5cK%c3%a4se%3f%26~%21",
	} {
		t.Run(name, func(t *testing.T) {
			got, n := redact.New(secrets("unrelated", value)).Text([]byte("before " + shown + " after"))
			if want := "before [secret:S1] after"; string(got) != want || n != 1 {
				t.Errorf("%q became %q, %d replaced", shown, got, n)
			}
		})
	}
}

func TestTextFindsBase64AtAnyAlignment(t *testing.T) {
	const value = "correct horse battery"
	r := redact.New(secrets(value))
	for before := range 7 {
		for after := range 4 {
			text := strings.Repeat("x", before) + value + strings.Repeat("y", after)
			got, n := r.Text([]byte(base64.StdEncoding.EncodeToString([]byte(text))))
			if n != 1 || len(got) > 12+len("[secret:S0]")+8 {
				t.Errorf("with %d bytes before and %d after the value: got %q, %d replaced", before, after, got, n)
			}
		}
	}
}

func TestTextKeepsOtherText(t *testing.T) {
	r := redact.New(secrets("12345", "abcdef", ""))
	for _, text := range []string{"", "12345", "abcde", "abcdeg", "aabcde", "ABCDEF"} {
		if got, n := r.Text([]byte(text)); string(got) != text || n != 0 {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestTextReplacesTheLongestValue(t *testing.T) {
	r := redact.New(secrets("abcdef", "abcdefghij", "ghijkl"))
	for text, want := range map[string]string{
		"abcdef":                 "[secret:S0]",
		"abcdefghi":              "[secret:S0]ghi",
		"abcdefghij":             "[secret:S1]",
		"abcdefghijkl":           "[secret:S1]kl",
		"abcdefabcdefghijabcdef": "[secret:S0][secret:S1][secret:S0]",
		"abcabcdef":              "abc[secret:S0]",
	} {
		if got, _ := r.Text([]byte(text)); string(got) != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

func TestTextFindsBeginningsOfLongValues(t *testing.T) {
	value := strings.Repeat("0123456789", 20)
	other := value[:150] + "!" + value[151:]
	r := redact.New(secrets(value, other))
	for name, c := range map[string]struct{ text, want string }{
		"whole":             {"<" + value + ">", "<[secret:S1]>"},
		"the other":         {"<" + other + ">", "<[secret:S1]>"},
		"half":              {"<" + value[:100] + ">", "<[secret:S1]>"},
		"less than a head":  {"<" + value[:63] + ">", "<" + value[:63] + ">"},
		"one after another": {value + value, "[secret:S1][secret:S1]"},
	} {
		if got, _ := r.Text([]byte(c.text)); string(got) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestStreamFindsSplitValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.StringMatching(`[ab/]{6,90}`), 1, 5).Draw(t, "values")
		parts := rapid.SliceOf(rapid.OneOf(rapid.SampledFrom(values), rapid.StringMatching(`[ab/]{0,9}`))).Draw(t, "parts")
		text := []byte(strings.Join(parts, ""))
		r := redact.New(secrets(values...))
		want, count := r.Text(text)
		s := r.Stream()
		var got []byte
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, min(len(rest), 40)).Draw(t, "size")
			got = append(got, s.Write(rest[:n])...)
			rest = rest[n:]
		}
		got = append(got, s.Close(false)...)
		if !bytes.Equal(got, want) || s.Count() != count {
			t.Fatalf("%q, written in pieces, became %q, not %q", text, got, want)
		}
		for _, v := range values {
			if bytes.Contains(want, []byte(v)) {
				t.Fatalf("%q remains in %q", v, want)
			}
		}
	})
}

func TestStreamDoesNotHoldBackOtherLines(t *testing.T) {
	s := redact.New(secrets("secret-value")).Stream()
	if got := s.Write([]byte("a line\n")); string(got) != "a line\n" {
		t.Errorf("got %q", got)
	}
	if got := s.Write([]byte("a sec")); string(got) != "a " {
		t.Errorf("got %q", got)
	}
	if got := s.Write([]byte("ond\n")); string(got) != "second\n" {
		t.Errorf("got %q", got)
	}
}

func TestCloseRedactsTruncatedValue(t *testing.T) {
	for cut, want := range map[bool]string{true: "x[secret:S0]", false: "xsecret-v"} {
		s := redact.New(secrets("secret-value")).Stream()
		if got := string(s.Write([]byte("xsecret-v"))) + string(s.Close(cut)); got != want {
			t.Errorf("Close(%v): got %q, want %q", cut, got, want)
		}
	}
}

func TestClearWipesValues(t *testing.T) {
	r := redact.New(secrets("secret-value"))
	r.Clear()
	if got, n := r.Text([]byte("secret-value")); n != 0 {
		t.Errorf("got %q", got)
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("secret"), []byte("a secret"))
	f.Add([]byte("\xff\xfe\xfd\xfc\xfb\xfa"), []byte("\xff\xfe\xfd\xfc\xfb\xfa"))
	f.Fuzz(func(t *testing.T, value, text []byte) {
		got, _ := redact.New([]pyth.SecretValue{{Name: "N", Value: value}}).Text(text)
		left := bytes.ReplaceAll(got, []byte("[secret:N]"), []byte{0})
		if len(value) >= redact.MinBytes && len(value) <= 64 && bytes.Contains(left, value) {
			t.Errorf("%q of %q remains in %q", value, text, got)
		}
	})
}

// randomSecrets returns n secrets that look like API keys.
func randomSecrets(n int) []pyth.SecretValue {
	source := rand.New(rand.NewPCG(1, 2))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var values []string
	for range n {
		v := []byte("sk-ant-")
		for len(v) < 40 {
			v = append(v, alphabet[source.IntN(64)])
		}
		values = append(values, string(v))
	}
	return secrets(values...)
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{1, 20, 200} {
		all := randomSecrets(n)
		b.Run(fmt.Sprintf("%d secrets", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				redact.New(all)
			}
		})
	}
}

func BenchmarkText(b *testing.B) {
	var log bytes.Buffer
	for i := 0; log.Len() < 1<<20; i++ {
		fmt.Fprintf(&log, "2026-04-04T08:23:21Z INFO request %d took %d ms and answered sk-%d\n", i, i%97, i*i)
	}
	alike := secrets()
	for i := range 200 {
		alike = append(alike, pyth.SecretValue{Name: fmt.Sprint("A", i), Value: []byte(strings.Repeat("a", 4000) + fmt.Sprint(i))})
	}
	for name, c := range map[string]struct {
		secrets []pyth.SecretValue
		text    []byte
	}{
		"200 secrets":                            {randomSecrets(200), log.Bytes()},
		"text that consists of values":           {randomSecrets(200), bytes.Repeat(randomSecrets(200)[7].Value, 1<<20/40)},
		"200 long values that differ at the end": {alike, bytes.Repeat([]byte("a"), 1<<20)},
		"the same, with incomplete values":       {alike, bytes.Repeat([]byte(strings.Repeat("a", 63)+"b"), 1<<20/64)},
	} {
		r := redact.New(c.secrets)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				r.Text(c.text)
			}
		})
	}
}
