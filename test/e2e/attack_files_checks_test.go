package e2e_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

// refusesPathsOutside sends requests whose input files have forbidden paths, for
// example outside the working directory or not normalized. The server must refuse these
// requests.
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

// refusesContradictions sends requests with conflicting input files. Two files have the
// same path, one path is below another file, or a file has the path of the program. The
// server must refuse these requests.
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

// checkLinksSkipped checks that the answer contains the file "real", but none of the
// links.
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

// checkSpecialFilesSkipped checks that the answer lists a FIFO and a socket as skipped.
// The answer must not mention a directory.
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
// reader, for example names with a line break. The answer must contain files whose
// names are unusual but harmless.
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

// checkLinkedFilesCounted checks that the limits for output files count each hard link
// as a separate file.
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

// checkHonest checks the output files of a program that replaces files by links while
// the server collects them. The answer may only contain the content of the real files.
func checkHonest(t *testing.T, x *execution) {
	t.Helper()
	for _, f := range x.Files {
		if f.Content != "honest" && f.Content != "" {
			t.Errorf("%s contains %q", f.Path, f.Content)
		}
	}
}
