package settings_test

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/settings"
)

func read(t *testing.T, text string) (*settings.File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pyth-on.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings.Read(path)
}

func mustRead(t *testing.T, text string) *settings.File {
	t.Helper()
	f, err := read(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadRefusesInvalidFiles(t *testing.T) {
	for text, want := range map[string]string{
		"a = 1\nb = \n":     "pyth-on.toml:2:",
		"addr = localhost":  "the file is not valid TOML",
		"a = 1\na = 2\n":    "pyth-on.toml:2:",
		"\xff":              "not valid TOML",
		"[a]\nb=1\n[a]\n":   "pyth-on.toml:3:",
		"a = 1\n\n\nb = '1": "pyth-on.toml:4:",
	} {
		if _, err := read(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := read(t, strings.Repeat("#", 1<<20+1)); err == nil || !strings.Contains(err.Error(), "1 MiB") {
		t.Errorf("large file: %v", err)
	}
	if _, err := settings.Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("directory: %v", err)
	}
	path := filepath.Join(t.TempDir(), "pyth-on.toml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o646); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Read(path); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("file that every user can write: %v", err)
	}
}

func TestCheckNamesUnknownSettings(t *testing.T) {
	f := mustRead(t, "addr = 'x'\n\nmax-runnin = 3\ntoken_ttl = '1h'\nzzzz = 1\njoin-token = 'hush'\n[serve]\nwarm = 1\n")
	err := f.Check([]string{"addr", "max-running", "token-ttl", "join-token-file"})
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		`:3: "max-runnin" is not a setting; did you mean max-running?`,
		`:4: "token_ttl" is not a setting; did you mean token-ttl?`,
		`:5: "zzzz" is not a setting; ` + "`pyth-on settings show` lists the settings",
		`:6: the settings file must not contain the value of join-token; write it into a file that only the server's user can read, and set join-token-file`,
		`:7: "serve" is not a setting`,
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Errorf("got %q, want %q in line %d", lines, want, i)
		}
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("the error contains the secret: %v", err)
	}
}

func TestTextConvertsValues(t *testing.T) {
	f := mustRead(t, `
text = "a,b"
switch = true
number = 1_000
time = "90s"
list = ["10.0.0.0/8", 'a,b']
[table]
science = "/srv/science"
arts = "numpy;pandas"
`)
	for _, c := range []struct {
		d    settings.Definition
		want string
	}{
		{settings.Definition{Name: "text", Kind: settings.Text}, "a,b"},
		{settings.Definition{Name: "switch", Kind: settings.Switch}, "true"},
		{settings.Definition{Name: "number", Kind: settings.Integer}, "1000"},
		{settings.Definition{Name: "time", Kind: settings.Duration}, "90s"},
		{settings.Definition{Name: "list", Kind: settings.List}, `10.0.0.0/8,a\,b`},
		{settings.Definition{Name: "table", Kind: settings.Map}, `arts=numpy\;pandas;science=/srv/science`},
	} {
		if got, err := f.Text(&c.d); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.d.Name, got, err, c.want)
		}
	}
	if got := f.Place("table"); !strings.HasSuffix(got, "pyth-on.toml:7") {
		t.Errorf("the table is at %s", got)
	}
}

func TestTextRefusesWrongTypes(t *testing.T) {
	for _, c := range []struct {
		value string
		d     settings.Definition
		want  string
	}{
		{`"8"`, settings.Definition{Kind: settings.Integer, Unit: "MiB"}, `must be a whole number without quotes, in MiB; the file has the text "8"`},
		{`8.5`, settings.Definition{Kind: settings.Integer}, "the file has the value 8.5"},
		{`10`, settings.Definition{Kind: settings.Duration}, `must be a duration in quotes, for example "90s", "10m" or "1h30m"; the file has the value 10`},
		{`"10"`, settings.Definition{Kind: settings.Duration}, `the file has the text "10"`},
		{`"loud"`, settings.Definition{Kind: settings.Level}, `must be "debug", "info", "warn" or "error"; the file has the text "loud"`},
		{`true`, settings.Definition{Kind: settings.Text, Values: []string{"on", "off"}}, `must be one of "on", "off"; the file has the value true`},
		{`"maybe"`, settings.Definition{Kind: settings.Text, Values: []string{"on", "off"}}, `the file has the text "maybe"`},
		{`"a,b"`, settings.Definition{Kind: settings.List}, `must be a list of texts, for example ["one", "two"]`},
		{`["a", 1]`, settings.Definition{Kind: settings.List}, "the file has a list"},
		{`{a = 1}`, settings.Definition{Kind: settings.Map}, "the file has a table"},
		{`{a = 1}`, settings.Definition{Kind: settings.Text}, "must be a text in quotes"},
		{`2026-01-01`, settings.Definition{Kind: settings.Path}, "the file has a date or time"},
		{`"https://user:hush@example.org"`, settings.Definition{Kind: settings.Integer}, "https://user:xxxxx@example.org"},
	} {
		c.d.Name = "x"
		_, err := mustRead(t, "\nx = "+c.value+"\n").Text(&c.d)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "pyth-on.toml:2: x must be ") {
			t.Errorf("%s: got %v, want %q", c.value, err, c.want)
		}
	}
}

func TestFormatWritesFlagValues(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{time.Hour, "1h"},
		{90 * time.Minute, "1h30m"},
		{90 * time.Second, "1m30s"},
		{time.Duration(0), "0s"},
		{10 * time.Minute, "10m"},
		{720 * time.Hour, "720h"},
		{slog.LevelWarn, "warn"},
		{[]string{"a", "b"}, "a,b"},
		{[]string(nil), ""},
		{[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "10.0.0.0/8"},
		{map[string]string{"b": "2", "a": "1"}, "a=1;b=2"},
		{true, "true"},
		{int64(5), "5"},
	} {
		if got := settings.Format(c.value); got != c.want {
			t.Errorf("%v: got %q, want %q", c.value, got, c.want)
		}
	}
}

func TestMaskHidesSecretsInURLs(t *testing.T) {
	for value, want := range map[string]string{
		"plain":                            "plain",
		"/etc/pyth-on/token":               "/etc/pyth-on/token",
		"https://example.org/simple/":      "https://example.org/simple/",
		"https://u:hush@example.org/":      "https://u:xxxxx@example.org/",
		"https://hush@example.org/":        "https://xxxxx@example.org/",
		"postgres://me@host/db":            "postgres://me@host/db",
		"postgres://me:hush@host/db":       "postgres://me:xxxxx@host/db",
		"postgres://host/db?password=hush": "postgres://host/db?password=xxxxx",
		"nats://a:hush@b,nats://c":         "nats://a:xxxxx@b,nats://c",
		"postgres://me:hu,sh@host/db":      "postgres://me:xxxxx@host/db",
		"nats://a:hu,sh@b,nats://c":        "nats://a:xxxxx@b,nats://c",
		"https://u:hu%sh@example.org":      "https://xxxxx@example.org",
		"https://e.org/?api_key=hush&a=b":  "https://e.org/?a=b&api_key=xxxxx",
	} {
		if got := settings.Mask(value); got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}
