package e2e_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

// refusesPathsOutside sends requests with input files outside the working directory
// or with unclean paths. The server must refuse them.
func (s *server) refusesPathsOutside(t *testing.T, a *account, request object) {
	t.Helper()
	for _, path := range []string{"../x", "/x", "a\x00b", "a/../../b", "", ".", "..", "a/./b", "a//b", "a/", "./a", strings.Repeat("d/", 600) + "f"} {
		request["files"] = []object{{"path": path, "content": ""}}
		p := s.call(t, a, "POST", "/api/v1/execute", request).refused(t, 400, "invalid_request")
		if len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Location, "body.files[0].path") {
			t.Errorf("%q: %+v", path, p)
		}
	}
}

// refusesContradictions sends requests with conflicting input files: two files with
// the same path, a path below another file, or the path of the program. The server
// must refuse them.
func (s *server) refusesContradictions(t *testing.T, a *account, request object, program string) {
	t.Helper()
	for _, paths := range [][]string{{"d", "d/f"}, {"d/f", "d"}, {"x", "x"}, {program, "y"}} {
		var files []object
		for _, p := range paths {
			files = append(files, object{"path": p, "content": ""})
		}
		request["files"] = files
		s.call(t, a, "POST", "/api/v1/execute", request).refused(t, 400, "invalid_request")
	}
}

// checkLinksSkipped checks that the answer contains the file "real" and no links.
func checkLinksSkipped(t *testing.T, x *execution) {
	t.Helper()
	x.ends(t, "succeeded")
	if len(x.Files) != 1 || string(x.fileContent(t, "real")) != "real" {
		t.Errorf("%+v", x.Files)
	}
	for _, name := range []string{"a", "b", "c", "dir"} {
		if !strings.Contains(x.skipReason(name), "link") {
			t.Errorf("the reason for skipping %s is %q", name, x.skipReason(name))
		}
	}
}

// checkSpecialFilesSkipped checks that the answer lists a FIFO and a socket as
// skipped, and does not mention a directory.
func checkSpecialFilesSkipped(t *testing.T, x *execution) {
	t.Helper()
	x.ends(t, "succeeded")
	for _, name := range []string{"fifo", "socket"} {
		if !strings.Contains(x.skipReason(name), "not a regular file") {
			t.Errorf("the reason for skipping %s is %q", name, x.skipReason(name))
		}
	}
	if len(x.Files) != 0 {
		t.Errorf("%+v", x.Files)
	}
}

// checkDeceptiveNames checks that the answer skips files whose names could deceive a
// reader, for example with a line break. The answer must contain files with unusual
// but harmless names.
func checkDeceptiveNames(t *testing.T, x *execution) {
	t.Helper()
	x.ends(t, "succeeded")
	for _, name := range []string{strings.Repeat("n", 255), "ok", "back\\slash", "café"} {
		if string(x.fileContent(t, name)) != "x" {
			t.Errorf("%q is not returned", name)
		}
	}
	if len(x.Files) != 4 || len(x.FilesSkipped) != 5 {
		t.Errorf("%+v %+v", x.Files, x.FilesSkipped)
	}
	for _, f := range x.FilesSkipped {
		if strings.ContainsAny(f.Path, "\n\t\x1b\u202e") {
			t.Errorf("%q", f.Path)
		}
	}
}

// checkLinkedFilesCounted checks that each hard link counts as a separate file
// towards the limits.
func checkLinkedFilesCounted(t *testing.T, x *execution) {
	t.Helper()
	x.ends(t, "succeeded")
	total := 0
	for _, f := range x.Files {
		total += len(must(base64.StdEncoding.DecodeString(f.Content))(t))
	}
	if total > 10*mib || len(x.Files) != 10 || len(x.FilesSkipped) != 91 {
		t.Errorf("%d files of %d bytes, %d skipped", len(x.Files), total, len(x.FilesSkipped))
	}
}

// checkHonest checks the result of programs that replace files by links while the
// server collects the files. The answer may only contain the content of the real
// files.
func checkHonest(t *testing.T, x *execution) {
	t.Helper()
	for _, f := range x.Files {
		if f.Content != "honest" && f.Content != "" {
			t.Errorf("%s contains %q", f.Path, f.Content)
		}
	}
}
