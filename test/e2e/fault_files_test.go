package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// callFile sends a request for a file of the session. It escapes the path for the
// URL.
func (s *session) callFile(t testing.TB, method, path string, body any) *answer {
	t.Helper()
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	header := http.Header{"X-Api-Key": {s.APIKey}, "Content-Type": {"application/octet-stream"}}
	return s.server.callWithHeader(t, header, method, s.path("/files/"+strings.Join(parts, "/")), body)
}

func (s *session) listFiles(t testing.TB) []string {
	t.Helper()
	var list struct{ Files []struct{ Path string } }
	s.server.call(t, s.account, "GET", s.path("/files"), nil).want(t, 200, &list)
	var paths []string
	for _, f := range list.Files {
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	return paths
}

func (x *execution) filePaths() []string {
	var paths []string
	for _, f := range x.Files {
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	return paths
}

// quoteJSON encodes s as JSON. The result is also a valid JavaScript string literal.
func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// fileWriters maps each language to a function. The function returns a program that
// writes "content" to the file at "path" and creates missing directories.
var fileWriters = map[string]func(path, content string) string{
	"python": func(path, content string) string {
		return fmt.Sprintf("import os\nos.makedirs(os.path.dirname(%[1]q) or '.', exist_ok=True)\nwith open(%[1]q, 'w') as f: f.write(%[2]q); None\n", path, content)
	},
	"javascript": func(path, content string) string {
		path, content = quoteJSON(path), quoteJSON(content)
		return fmt.Sprintf("require('fs').mkdirSync(require('path').dirname(%[1]s), {recursive: true}); require('fs').writeFileSync(%[1]s, %[2]s);\n", path, content)
	},
	"typescript": func(path, content string) string {
		path, content = quoteJSON(path), quoteJSON(content)
		return fmt.Sprintf("import * as fs from 'node:fs'; import * as path from 'node:path';\nfs.mkdirSync(path.dirname(%[1]s), {recursive: true}); fs.writeFileSync(%[1]s, %[2]s as string);\n", path, content)
	},
}

func TestSessionReturnsOutputFilesOfEachRun(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"python", "javascript"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": language})
			request := object{"language": language, "outputFiles": []string{"*.txt", "out/**"}}
			want := []string{"a.txt"}
			for i, path := range []string{"a.txt", "b.txt", "out/c.bin", "out/d/e.bin", "out/d/f.bin"} {
				if i > 0 {
					want = append(want, path)
				}
				for range 2 {
					x := s.runCode(t, fileWriters[language](path, path), request).ends(t, "succeeded")
					if got := x.filePaths(); !slices.Equal(got, want) {
						t.Fatalf("run %d returned %v, want %v", i, got, want)
					}
					if got := string(x.fileContent(t, path)); got != path {
						t.Errorf("%s contains %q", path, got)
					}
					if got := s.listFiles(t); !slices.Equal(got, want) {
						t.Fatalf("after run %d the list is %v, want %v", i, got, want)
					}
				}
			}
			s.callFile(t, "PUT", "g.txt", "put").want(t, 201, nil)
			s.callFile(t, "DELETE", "a.txt", nil).want(t, 204, nil)
			want = append(want[1:], "g.txt")
			slices.Sort(want)
			for range 3 {
				if got := s.listFiles(t); !slices.Equal(got, want) {
					t.Fatalf("the list is %v, want %v", got, want)
				}
			}
		})
	}
}

// unicodeNames contains unusual file names that the server accepts. They contain
// joiners, combining marks, private-use characters and unassigned characters.
var unicodeNames = []string{
	"کتاب\u200cخانه.txt",
	"क्\u200dष.txt",
	"crew_👩🏽\u200d🚀.txt",
	"flag_🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f.txt",
	"co\u00adoperate.txt",
	"\ufeffbom.txt",
	"icon_\ue0a0.txt",
	"lost_\ufffd.txt",
	"new_\u0378.txt",
	"עברית\u200f.txt",
	"word\u2060joined/گزارش\u200cها.txt",
}

// unsafeNames contains file names that the server refuses. Each name contains a line
// break, changes the direction of the text, or is not valid text.
var unsafeNames = []string{"two\nlines.txt", "c1\u0085.txt", "sep\u2028.txt", "evil\u202etxt.exe.txt", "iso\u2067late.txt"}

func TestExecuteKeepsUnicodeFileNames(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for language, write := range fileWriters {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			var code strings.Builder
			var given []object
			for _, name := range unicodeNames {
				given = append(given, object{"path": "in/" + name, "content": name})
				if language == "python" {
					code.WriteString(write(name, name))
					fmt.Fprintf(&code, "assert open('in/' + %[1]q).read() == %[1]q\n", name)
				}
			}
			if language != "python" {
				program := "const fs = require('fs');\n"
				if language == "typescript" {
					program = "import * as fs from 'node:fs';\n"
				}
				code.WriteString(program + "fs.mkdirSync('word\u2060joined');\nfor (const name of process.argv.slice(2)) { if (fs.readFileSync('in/' + name, 'utf8') !== name) throw new Error(name); fs.writeFileSync(name, name); }\n")
			}
			x := a.execute(t, object{"language": language, "code": code.String(), "files": given, "args": unicodeNames, "outputFiles": []string{"*.txt", "word*/**"}}).ends(t, "succeeded")
			for _, name := range unicodeNames {
				if got := string(x.fileContent(t, name)); got != name {
					t.Errorf("%q contains %q: %s", name, got, x)
				}
			}
			if len(x.Files) != len(unicodeNames) || len(x.FilesSkipped) > 0 {
				t.Errorf("got %q, %s", x.filePaths(), x)
			}
		})
	}
}

func TestSessionFilesKeepUnicodeNames(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"python", "javascript"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": language})
			all := object{"language": language, "outputFiles": []string{"**"}}
			for _, name := range unicodeNames {
				s.callFile(t, "PUT", name, name).want(t, 201, nil)
				if got := s.callFile(t, "GET", name, nil).want(t, 200, nil); string(got.body) != name {
					t.Errorf("%q contains %q", name, got.body)
				}
				s.runCode(t, fileWriters[language](name, "again"), object{"language": language}).ends(t, "succeeded")
			}
			want := slices.Sorted(slices.Values(unicodeNames))
			if got := s.listFiles(t); !slices.Equal(got, want) {
				t.Errorf("the list is %q, want %q", got, want)
			}
			x := s.runCode(t, "1", all).ends(t, "succeeded")
			if got := x.filePaths(); !slices.Equal(got, want) || len(x.FilesSkipped) > 0 {
				t.Errorf("got %q, want %q: %s", got, want, x)
			}
			for _, name := range unicodeNames {
				s.callFile(t, "DELETE", name, nil).want(t, 204, nil)
			}
			if got := s.listFiles(t); len(got) != 0 {
				t.Errorf("%q was not deleted", got)
			}
		})
	}
}

// TestExecuteSkipsUnsafeFileNames runs programs that write files with unsafe names. The
// run must succeed. The field filesSkipped of the answer must list these files.
func TestExecuteSkipsUnsafeFileNames(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	code := "import os\nfor name in " + fmt.Sprintf("[%q, %q, %q, %q, %q]", unsafeNames[0], unsafeNames[1], unsafeNames[2], unsafeNames[3], unsafeNames[4]) +
		" + [b'\\xff\\xfe.txt', b'\\xed\\xb2\\x80.txt', '\\ufffe.txt', 'ok.txt']:\n    with open(name, 'w') as f: f.write('x');\n"
	check := func(t *testing.T, x *execution) {
		t.Helper()
		x.ends(t, "succeeded")
		if got := x.filePaths(); !slices.Equal(got, []string{"ok.txt", "\ufffe.txt"}) || len(x.FilesSkipped) != 7 {
			t.Errorf("got %q and %q", got, x.FilesSkipped)
		}
		for _, f := range x.FilesSkipped {
			if strings.ContainsAny(f.Path, "\n\u0085\u2028\u202e\u2067") || f.Reason == "" {
				t.Errorf("%q is skipped because %q", f.Path, f.Reason)
			}
		}
	}
	check(t, a.execute(t, object{"code": code, "outputFiles": []string{"*.txt"}}))
	s := a.openSession(t, object{})
	check(t, s.runCode(t, code, object{"outputFiles": []string{"*.txt"}}))
	check(t, s.runCode(t, "print(1)", object{"outputFiles": []string{"*.txt"}}))
	if got := s.listFiles(t); !slices.Equal(got, []string{"ok.txt", "\ufffe.txt"}) {
		t.Errorf("the list is %q", got)
	}
	js := "const fs = require('fs'); for (const n of process.argv.slice(2)) fs.writeFileSync(n, 'x'); fs.writeFileSync(Buffer.from([0xff, 0x2e, 0x74, 0x78, 0x74]), 'x');"
	x := a.execute(t, object{"language": "javascript", "code": js, "args": unsafeNames, "outputFiles": []string{"*"}}).ends(t, "succeeded")
	if len(x.Files) != 0 || len(x.FilesSkipped) != 6 {
		t.Errorf("got %q and %q", x.filePaths(), x.FilesSkipped)
	}
	for _, name := range unsafeNames {
		p := a.server.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "files": []object{{"path": name, "content": ""}}}).refused(t, 400, "invalid_request")
		if len(p.Errors) != 1 || p.Errors[0].Location != "body.files[0].path" || !strings.Contains(p.Errors[0].Message, "U+") {
			t.Errorf("%q: %+v", name, p)
		}
		s.callFile(t, "PUT", name, "x").refused(t, 400, "invalid_request")
	}
}

// TestSessionFilesReserveNoName uses file names that were reserved in earlier versions
// of the server. These names must now work like all other names.
func TestSessionFilesReserveNoName(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"python", "javascript"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": language})
			for _, name := range []string{".upload", "upload", "aside", "d/.upload"} {
				s.runCode(t, fileWriters[language](name, "mine"), object{"language": language}).ends(t, "succeeded")
				s.callFile(t, "PUT", "other-"+strings.ReplaceAll(name, "/", "-"), "x").want(t, 201, nil)
				if got := s.callFile(t, "GET", name, nil).want(t, 200, nil); string(got.body) != "mine" {
					t.Errorf("%s contains %q", name, got.body)
				}
				s.callFile(t, "PUT", name, "put").want(t, 200, nil)
				if got := s.callFile(t, "GET", name, nil).want(t, 200, nil); string(got.body) != "put" {
					t.Errorf("%s contains %q", name, got.body)
				}
			}
			s.runCode(t, fileWriters[language]("dir/.upload/f", ""), object{"language": language}).ends(t, "succeeded")
			s.callFile(t, "PUT", "dir/new", "x").want(t, 201, nil)
			s.callFile(t, "PUT", "dir/.upload", "x").refused(t, 409, "conflict")
			want := []string{".upload", "aside", "d/.upload", "dir/.upload/f", "dir/new", "other-.upload", "other-aside", "other-d-.upload", "other-upload", "upload"}
			if got := s.listFiles(t); !slices.Equal(got, want) {
				t.Errorf("the list is %q, want %q", got, want)
			}
		})
	}
	s := a.openSession(t, object{})
	s.runCode(t, "import os\nprint(os.listdir('/work'), os.listdir('/mnt'), os.listdir('/tmp'), [l.split()[1] for l in open('/proc/self/mounts') if 'scratch' in l or '/mnt' in l])").prints(t, "[] [] [] []\n")
}

// TestSessionInputFilesFollowNoLink creates links, directories and special files in a
// session. Then it sends input files with the same paths. The server must replace the
// existing file or refuse the run. It must never write to the target of a link.
func TestSessionInputFilesFollowNoLink(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{"limits": object{"diskBytes": 4 << 20}})
	s.runCode(t, "import os\nkept = 1\nos.symlink('/run', 'd'); os.symlink('/dev', 'e'); os.symlink('/etc/passwd', 'l'); os.mkfifo('fifo'); os.mkdir('dir'); None").ends(t, "succeeded")
	with := func(path string) object {
		return object{"files": []object{{"path": path, "content": "mine"}}, "timeoutMs": 20_000}
	}
	for _, path := range []string{"d/x", "e/null", "e/new/x", "dir", "l/x"} {
		x := s.runCode(t, "print('ran')", with(path))
		if x.Status != "failed" || x.Stdout != "" || x.SessionEnded || x.Error == nil || x.Error.Name != "InputFileError" || x.ExitCode != nil || x.Signal != "" {
			t.Errorf("%s: %s, %+v", path, x, x.Error)
		}
	}
	for _, path := range []string{"l", "fifo", "dir/sub/x"} {
		s.runCode(t, fmt.Sprintf("print(open(%[1]q).read(), os.path.islink(%[1]q))", path), with(path)).prints(t, "mine False\n")
	}
	s.runCode(t, "fd = os.open('full', os.O_WRONLY | os.O_CREAT)\ntry:\n    while True: os.write(fd, bytes(4096))\nexcept OSError: pass\nos.close(fd)").ends(t, "succeeded")
	if x := s.runCode(t, "1", with("more")); x.Status != "failed" || x.Error == nil || x.Error.Name != "InputFileError" {
		t.Errorf("%s, %+v", x, x.Error)
	}
	s.runCode(t, "os.remove('full')").ends(t, "succeeded")
	s.runCode(t, "print(kept, open('more').read())", with("more")).prints(t, "1 mine\n")
}
