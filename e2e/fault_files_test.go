package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// file sends a request about one file of the session. The path is escaped.
func (s *session) file(t testing.TB, method, path string, body any) *answer {
	t.Helper()
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	header := http.Header{"X-Api-Key": {s.APIKey}, "Content-Type": {"application/octet-stream"}}
	return s.server.callWith(t, header, method, s.path("/files/"+strings.Join(parts, "/")), body)
}

// list returns the sorted paths of the session's files.
func (s *session) list(t testing.TB) []string {
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

// returned is the sorted paths of the files of an execution.
func (x *execution) returned() []string {
	var paths []string
	for _, f := range x.Files {
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	return paths
}

// writers make a program that writes a file and its directory.
var writers = map[string]func(path, content string) string{
	"python": func(path, content string) string {
		return fmt.Sprintf("import os\nos.makedirs(os.path.dirname(%[1]q) or '.', exist_ok=True)\nwith open(%[1]q, 'w') as f: f.write(%[2]q); None\n", path, content)
	},
	"javascript": func(path, content string) string {
		return fmt.Sprintf("require('fs').mkdirSync(require('path').dirname(%[1]q), {recursive: true}); require('fs').writeFileSync(%[1]q, %[2]q);\n", path, content)
	},
	"typescript": func(path, content string) string {
		return fmt.Sprintf("import * as fs from 'node:fs'; import * as path from 'node:path';\nfs.mkdirSync(path.dirname(%[1]q), {recursive: true}); fs.writeFileSync(%[1]q, %[2]q as string);\n", path, content)
	},
}

func TestSessionFaultF01FilesAreListedAndReturnedEachTime(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"python", "javascript"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := a.open(t, object{"language": language})
			request := object{"language": language, "outputFiles": []string{"*.txt", "out/**"}}
			want := []string{"a.txt"}
			for i, path := range []string{"a.txt", "b.txt", "out/c.bin", "out/d/e.bin", "out/d/f.bin"} {
				if i > 0 {
					want = append(want, path)
				}
				for range 2 {
					x := s.in(t, writers[language](path, path), request).ends(t, "succeeded")
					if got := x.returned(); !slices.Equal(got, want) {
						t.Fatalf("run %d returned %v, want %v", i, got, want)
					}
					if got := string(x.file(t, path)); got != path {
						t.Errorf("%s holds %q", path, got)
					}
					if got := s.list(t); !slices.Equal(got, want) {
						t.Fatalf("after run %d the list is %v, want %v", i, got, want)
					}
				}
			}
			s.file(t, "PUT", "g.txt", "put").want(t, 201, nil)
			s.file(t, "DELETE", "a.txt", nil).want(t, 204, nil)
			want = append(want[1:], "g.txt")
			slices.Sort(want)
			for range 3 {
				if got := s.list(t); !slices.Equal(got, want) {
					t.Fatalf("the list is %v, want %v", got, want)
				}
			}
		})
	}
}
