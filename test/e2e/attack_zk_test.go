package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // The driver of the server's database.
)

func uniqueText(t testing.TB, name string) string {
	t.Helper()
	b := make([]byte, 12)
	must(rand.Read(b))(t)
	return name + hex.EncodeToString(b)
}

// findText is a program that searches /proc, all files and its own memory for texts.
// Each text is split into two arguments, because otherwise the program would find the
// text in its own arguments.
const findText = `
import os, sys
texts = [(sys.argv[i] + sys.argv[i + 1]).encode() for i in range(1, len(sys.argv), 2)]
found = set()
def look(where, content):
    for i, text in enumerate(texts):
        if text in content: found.add(f'{i} in {where}')
for root, dirs, names in os.walk('/proc'):
    # Skip these directories, because reading some of their descriptors would block.
    dirs[:] = [d for d in dirs if d not in ('fd', 'task')]
    for name in names:
        path = os.path.join(root, name)
        if name in ('mem', 'kmsg', 'kcore', 'checkpoint'): continue
        try:
            with open(path, 'rb') as f: look(path, f.read(1 << 20))
        except OSError: pass
for root, dirs, names in os.walk('/'):
    if root.startswith(('/proc', '/sys', '/usr', '/dev/pts')):
        dirs[:] = []
        continue
    for name in names:
        path = os.path.join(root, name)
        try:
            if os.path.isfile(path):
                with open(path, 'rb') as f: look(path, f.read(1 << 20))
        except OSError: pass
`

// findInMemory is a program that searches its own memory for a string. The string is
// split into two halves. The program never joins the halves, because otherwise it would
// find its own copy of the string.
const findInMemory = `
import sys
found = set()
half, other = sys.argv[1].encode(), sys.argv[2].encode()
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
        span, rights = line.split()[:2]
        start, end = (int(x, 16) for x in span.split('-'))
        if rights[0] != 'r' or end > 1 << 47: continue
        for at in range(start, end, 1 << 20):
            try:
                memory.seek(at)
                block = memory.read(min(1 << 20, end - at) + 64)
            except OSError: continue
            i = block.find(half)
            while i >= 0:
                if block[i + len(half):][:len(other)] == other: found.add('memory')
                i = block.find(half, i + 1)
`

// splitTexts splits each text into two halves. The halves are arguments for the program
// findText.
func splitTexts(texts ...string) []string {
	var parts []string
	for _, text := range texts {
		parts = append(parts, text[:len(text)/2], text[len(text)/2:])
	}
	return parts
}

var zkAttacks = []attack{
	{"040_a_program_that_is_decrypted_finds_no_password", func(t *testing.T, s *server, a *account) {
		password := uniqueText(t, "password")
		for _, look := range []string{findText, findInMemory} {
			a.storeEncrypted(t, "self", encryptedProgram{code: look + "import os\nprint(sorted(found), len(os.listdir('/proc/self/fd')))", password: password})
			plain := a.execute(t, object{"code": "import os\nprint([], len(os.listdir('/proc/self/fd')))"})
			for _, opens := range []object{{"masterPassword": password}, a.sealPassword(t, password)} {
				opens["args"] = splitTexts(password)
				a.executeEncrypted(t, "self", opens).prints(t, plain.Stdout)
			}
		}
	}},
	{"041_others_find_neither_program_nor_password", func(t *testing.T, s *server, a *account) {
		code, password := uniqueText(t, "code"), uniqueText(t, "password")
		a.storeEncrypted(t, "waits", encryptedProgram{code: "# " + code + "\nimport time\nprint('ready', flush=True)\ntime.sleep(250)", password: password})
		look := object{"code": findText + "print(sorted(found))", "args": splitTexts(code, password)}
		b := s.register(t)
		b.isolation = a.isolation
		for _, opens := range []object{{"masterPassword": password}, a.sealPassword(t, password)} {
			ctx, cancel := context.WithCancel(t.Context())
			opens["timeoutMs"] = 250_000
			a.startEncrypted(ctx, t, "waits", opens)
			// While the encrypted program is running, search in other sandboxes of the
			// same user and of another user.
			a.execute(t, look).prints(t, "[]\n")
			b.execute(t, look).prints(t, "[]\n")
			cancel()
			eventually(t, "the run has ended", func() bool { return s.metric(t, "pyth_on_executions_running") == 0 })
		}
		// After the run has ended, search in all sandboxes of the user. One of these
		// sandboxes has run the encrypted program.
		for range 4 {
			a.execute(t, look).prints(t, "[]\n")
		}
	}},
	{"043_what_decrypts_shows_nothing_in_the_environment", func(t *testing.T, s *server, a *account) {
		a.storeEncrypted(t, "environment", encryptedProgram{code: "import os\nprint(sorted(os.environ), __import__('sys').argv, open('/proc/self/cmdline').read())", password: "pw"})
		plain := a.execute(t, object{"code": "import os\nprint(sorted(os.environ), __import__('sys').argv, open('/proc/self/cmdline').read())"})
		a.executeEncrypted(t, "environment", object{"masterPassword": "pw"}).prints(t, plain.Stdout)
	}},
	{"045_the_helper_that_decrypts_is_of_no_use_to_programs", func(t *testing.T, s *server, a *account) {
		x := a.run(t, `
import os, subprocess
for name in ('pyth-on/unlock', 'pyth-on/guest'):
    try:
        p = subprocess.run([name], executable='/pyth-on/guest', input=b'Z\xff\xff\xff\xff', capture_output=True, timeout=20)
        print(p.returncode != 0, p.stdout)
    except OSError as e:
        print(True, b'')
`)
		x.prints(t, "True b''\nTrue b''\n")
	}},
	{"101_encrypted_programs_that_are_swapped_in_the_database_do_not_open", func(t *testing.T, s *server, a *account) {
		a.storeEncrypted(t, "one", encryptedProgram{name: "one", code: "print(1)", password: "pw"})
		a.storeEncrypted(t, "two", encryptedProgram{name: "two", code: "print(2)", password: "pw"})
		s.execSQL(t, `UPDATE encrypted_code SET name = CASE name WHEN 'one' THEN 'swapped' ELSE 'one' END WHERE name IN ('one', 'two') AND user_id = ?`, a.User.ID)
		for _, name := range []string{"one", "swapped"} {
			a.executeEncrypted(t, name, object{"masterPassword": "pw"}).requireDecryptionError(t)
		}
		// The server must also refuse the program if an attacker has changed the column
		// bound_name.
		s.execSQL(t, `UPDATE encrypted_code SET bound_name = name WHERE user_id = ?`, a.User.ID)
		for _, name := range []string{"one", "swapped"} {
			a.executeEncrypted(t, name, object{"masterPassword": "pw"}).requireDecryptionError(t)
		}
		s.execSQL(t, `UPDATE encrypted_code SET bound_name = '' WHERE user_id = ?`, a.User.ID)
		a.executeEncrypted(t, "one", object{"masterPassword": "pw"}).requireDecryptionError(t)
		for _, column := range []string{"ciphertext", "nonce", "salt"} {
			a.storeEncrypted(t, "flipped", encryptedProgram{code: "print(3)", password: "pw"})
			var b []byte
			s.queryRow(t, &b, "SELECT "+column+" FROM encrypted_code WHERE name = 'flipped' AND user_id = ?", a.User.ID)
			b[len(b)-1] ^= 1
			s.execSQL(t, "UPDATE encrypted_code SET "+column+" = ? WHERE name = 'flipped' AND user_id = ?", b, a.User.ID)
			a.executeEncrypted(t, "flipped", object{"masterPassword": "pw"}).requireDecryptionError(t)
		}
	}},
	{"103_a_master_password_and_its_program_are_nowhere_on_the_host", func(t *testing.T, s *server, a *account) {
		started := time.Now().Add(-time.Second)
		// With a sealed password, the server never knows the password. So the test also
		// searches the server's memory. The case "sealed" must come first, because in
		// the case "master" the server receives the password.
		for _, how := range []string{"sealed", "master"} {
			code, password, wrong := uniqueText(t, "code"), uniqueText(t, "password"), uniqueText(t, "wrong")
			texts := []string{code, password, wrong, base64.StdEncoding.EncodeToString([]byte(password))}
			opens := func(password string) object {
				if how == "sealed" {
					return a.sealPassword(t, password)
				}
				return object{"masterPassword": password}
			}
			a.storeEncrypted(t, "canary", encryptedProgram{code: "# " + code + "\nimport time\nprint('ready', flush=True)\ntime.sleep(250)", password: password})
			a.executeEncrypted(t, "canary", opens(wrong)).requireDecryptionError(t)
			ctx, cancel := context.WithCancel(t.Context())
			request := opens(password)
			request["timeoutMs"] = 250_000
			a.startEncrypted(ctx, t, "canary", request)
			requireNoProcessShows(t, texts)
			if how == "sealed" {
				requireNoMemoryContains(t, s.servingPid(), texts)
				requireNoMemoryContains(t, s.host().servingPid(), texts)
			}
			cancel()
			eventually(t, "the run has ended", func() bool { return s.metric(t, "pyth_on_executions_running") == 0 })
			if how == "sealed" {
				requireNoMemoryContains(t, s.servingPid(), texts)
				requireNoMemoryContains(t, s.host().servingPid(), texts)
			}
			requireNoFileContains(t, s.data, started, texts)
			requireNoFileContains(t, s.host().data, started, texts)
			for _, dir := range []string{os.TempDir(), "/var/tmp", "/dev/shm", must(os.Getwd())(t)} {
				requireNoFileContains(t, dir, started, texts)
			}
			for _, text := range texts {
				if strings.Contains(s.log.String(), text) {
					t.Error("the log contains a secret text")
				}
			}
		}
	}},
}

// startEncrypted starts an encrypted program that the server has stored, and returns
// after the first output. The program runs until ctx ends.
func (a *account) startEncrypted(ctx context.Context, t testing.TB, name string, request object) {
	t.Helper()
	x := a.openStreamAt(ctx, t, "/api/v1/zk/execute/"+name, a.withIsolation(request))
	for {
		switch e, ok := x.next(t); {
		case !ok, e.name == "end", e.name == "error":
			t.Fatalf("the run has ended: %s", e.data)
		case e.name == "stdout":
			return
		}
	}
}

// openDatabase opens the database of the server. The result "number" is a function that
// adapts the placeholders "?" in an SQL statement to the kind of database.
func (s *server) openDatabase(t testing.TB) (db *sql.DB, number func(string) string) {
	t.Helper()
	if url := databases.of(s.data); url != "" {
		return must(sql.Open("pgx", url))(t), func(query string) string {
			parts := strings.Split(query, "?")
			for i := range parts[1:] {
				parts[i] += "$" + strconv.Itoa(i+1)
			}
			return strings.Join(parts, "")
		}
	}
	db = must(sql.Open("sqlite", "file:"+filepath.Join(s.data, "pyth-on.db")+"?_pragma=busy_timeout(10000)"))(t)
	return db, func(query string) string { return query }
}

func (s *server) execSQL(t testing.TB, query string, args ...any) {
	t.Helper()
	db, number := s.openDatabase(t)
	defer func() { _ = db.Close() }()
	result := must(db.ExecContext(t.Context(), number(query), args...))(t)
	if n := must(result.RowsAffected())(t); n == 0 {
		t.Fatal("the statement changed no row")
	}
}

func (s *server) queryRow(t testing.TB, into any, query string, args ...any) {
	t.Helper()
	db, number := s.openDatabase(t)
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), number(query), args...).Scan(into); err != nil {
		t.Fatal(err)
	}
}

// indexOfContained returns the index of the first text that occurs in "content". It
// returns -1 if none occurs.
func indexOfContained(content []byte, texts []string) int {
	return slices.IndexFunc(texts, func(text string) bool { return bytes.Contains(content, []byte(text)) })
}

// requireNoProcessShows checks the command lines, environments and names of all
// processes. None of the given texts may occur there.
func requireNoProcessShows(t testing.TB, texts []string) {
	t.Helper()
	looked := 0
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ", "/proc/[0-9]*/comm"} {
		for _, path := range must(filepath.Glob(pattern))(t) {
			content, err := os.ReadFile(path)
			if err != nil {
				continue // The process has ended.
			}
			looked++
			if i := indexOfContained(content, texts); i >= 0 {
				t.Errorf("%s contains text %d", path, i)
			}
		}
	}
	if looked < 10 {
		t.Errorf("only %d files were searched", looked)
	}
}

// requireNoFileContains checks the files below dir that have changed since the given
// time. No file may contain one of the given texts.
func requireNoFileContains(t testing.TB, dir string, since time.Time, texts []string) {
	t.Helper()
	const most = 256 * mib
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // The file is not readable, or was removed.
		}
		info, err := d.Info()
		if err != nil || info.ModTime().Before(since) || info.Size() > most {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		if i := indexOfContained(content, texts); i >= 0 {
			t.Errorf("%s contains text %d", path, i)
		}
		return nil
	})
}

// requireNoMemoryContains checks the writable memory of the process. The memory may
// contain none of the given texts.
func requireNoMemoryContains(t testing.TB, pid int, texts []string) {
	t.Helper()
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	looked := 0
	for line := range strings.Lines(string(must(os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)))(t))) {
		var start, end int64
		var rights string
		if n, err := fmt.Sscanf(line, "%x-%x %s", &start, &end, &rights); n != 3 || err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		const block = 4 * mib
		for at := start; at < end; at += block {
			// A text can begin in this block and end in the next block. So also read
			// the beginning of the next block.
			content := make([]byte, min(block+64, end-at))
			n, err := memory.ReadAt(content, at)
			if err != nil && n == 0 {
				continue
			}
			looked += n
			if i := indexOfContained(content[:n], texts); i >= 0 {
				t.Errorf("the memory of process %d contains text %d at %x", pid, i, at)
			}
		}
	}
	if looked < 10*mib {
		t.Errorf("only %d bytes were searched", looked)
	}
}
