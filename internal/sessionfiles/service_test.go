package sessionfiles_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/files"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/sessionfiles"
)

// machine is a session whose working directory is a directory of this machine. Tests
// change the directory as programs of the session do.
type machine struct {
	*testing.T
	*sessionfiles.Service
	work, staging string
	files         *files.Files
}

const disk = 8 << 20

func newMachine(t *testing.T) *machine {
	t.Helper()
	base := t.TempDir()
	m := &machine{T: t, work: filepath.Join(base, "work"), staging: filepath.Join(base, "staging")}
	var fds [2]int
	for i, dir := range []string{m.work, m.staging} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		fds[i] = fd
	}
	m.files = files.New(files.Config{Work: fds[0], Staging: fds[1], UserID: os.Getuid(), DiskBytes: disk})
	m.Service = sessionfiles.New(m)
	return m
}

func (m *machine) Stream(context.Context, pyth.UserID, pyth.SessionID) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		conn := protocol.NewStream(theirs)
		kind, payload, err := conn.Receive()
		if err == nil && !m.files.Serve(kind, payload, conn, theirs) {
			m.Errorf("unknown request %q", kind)
		}
	}()
	return ours, nil
}

func (m *machine) write(name, content string) {
	m.Helper()
	full := filepath.Join(m.work, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) link(target, name string) {
	m.Helper()
	if err := os.Symlink(target, filepath.Join(m.work, name)); err != nil {
		m.Fatal(err)
	}
}

// tree returns the entries below the working directory: a directory ends with a slash,
// and a file is followed by its content.
func (m *machine) tree() string {
	m.Helper()
	var all []string
	err := filepath.Walk(m.work, func(full string, info os.FileInfo, err error) error {
		name, _ := filepath.Rel(m.work, full)
		switch {
		case err != nil || name == ".":
		case info.IsDir():
			all = append(all, name+"/")
		case info.Mode().IsRegular():
			b, _ := os.ReadFile(full)
			all = append(all, name+"="+string(b))
		default:
			all = append(all, name+"@")
		}
		return err
	})
	if err != nil {
		m.Error(err)
	}
	return strings.Join(all, " ")
}

func (m *machine) wantTree(want string) {
	m.Helper()
	if got := m.tree(); got != want {
		m.Errorf("got  %s\nwant %s", got, want)
	}
	if left, err := os.ReadDir(m.staging); err != nil || len(left) > 0 {
		m.Errorf("the staging directory has %v, %v", left, err)
	}
}

func wantCode(t *testing.T, err error, want pyth.Code) {
	t.Helper()
	if got := pyth.ErrorCode(err); got != want {
		t.Errorf("got %v, not %s", err, want)
	}
}

func TestMakeMoveCopyRemove(t *testing.T) {
	m := newMachine(t)
	ctx := t.Context()
	m.write("a/f", "1")
	m.write("g", "2")
	m.link("/etc/passwd", "link")
	m.link("/", "root")
	if err := unix.Mkfifo(filepath.Join(m.work, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		do   func() error
		want pyth.Code
	}{
		{func() error { _, err := m.MakeDirectory(ctx, "", "", "b/c/d"); return err }, ""},
		{func() error { _, err := m.MakeDirectory(ctx, "", "", "b/c"); return err }, ""},
		{func() error { _, err := m.MakeDirectory(ctx, "", "", "g"); return err }, pyth.CodeConflict},
		{func() error { _, err := m.MakeDirectory(ctx, "", "", "g/x"); return err }, pyth.CodeConflict},
		{func() error { _, err := m.MakeDirectory(ctx, "", "", "link"); return err }, pyth.CodeConflict},
		{func() error { _, err := m.MakeDirectory(ctx, "", "", "root/tmp/x"); return err }, pyth.CodeConflict},
		{func() error { _, err := m.MakeDirectory(ctx, "", "", "../x"); return err }, pyth.CodeInvalid},
		{func() error { _, err := m.MakeDirectory(ctx, "", "", ""); return err }, pyth.CodeInvalid},
		{func() error { return m.MovePath(ctx, "", "", "absent", "x", false) }, pyth.CodeNotFound},
		{func() error { return m.MovePath(ctx, "", "", "a", "b/c/d/e/moved", false) }, ""},
		{func() error { return m.MovePath(ctx, "", "", "g", "b/c", false) }, pyth.CodeConflict},
		{func() error { return m.MovePath(ctx, "", "", "b", "b/c/x", false) }, pyth.CodeConflict},
		{func() error { return m.MovePath(ctx, "", "", "g", "root/tmp/g", true) }, pyth.CodeConflict},
		{func() error { return m.MovePath(ctx, "", "", "root/etc/passwd", "x", true) }, pyth.CodeConflict},
		{func() error { return m.MovePath(ctx, "", "", "g", "g", false) }, ""},
		{func() error { return m.CopyPath(ctx, "", "", "b/c/d/e", "copy", false) }, ""},
		{func() error { return m.CopyPath(ctx, "", "", "b/c/d/e", "copy", false) }, pyth.CodeConflict},
		{func() error { return m.CopyPath(ctx, "", "", "copy", "copy/inside", false) }, ""},
		{func() error { return m.CopyPath(ctx, "", "", "g", "copy/inside", true) }, ""},
		{func() error { return m.CopyPath(ctx, "", "", "g", "root/tmp/g", true) }, pyth.CodeConflict},
		{func() error { return m.CopyPath(ctx, "", "", "root/etc", "etc", true) }, pyth.CodeConflict},
		{func() error { return m.CopyPath(ctx, "", "", "link", "link2", false) }, ""},
		{func() error { return m.CopyPath(ctx, "", "", "fifo", "x", false) }, pyth.CodeConflict},
		{func() error { return m.RemovePath(ctx, "", "", "b", false) }, pyth.CodeConflict},
		{func() error { return m.RemovePath(ctx, "", "", "b", true) }, ""},
		{func() error { return m.RemovePath(ctx, "", "", "b", true) }, pyth.CodeNotFound},
		{func() error { return m.RemovePath(ctx, "", "", "root/etc/passwd", true) }, pyth.CodeConflict},
		{func() error { return m.RemovePath(ctx, "", "", "link", false) }, ""},
		{func() error { return m.RemovePath(ctx, "", "", "fifo", false) }, ""},
		{func() error { return m.RemovePath(ctx, "", "", "root", true) }, ""},
	} {
		wantCode(t, test.do(), test.want)
	}
	m.wantTree("copy/ copy/inside=2 copy/moved/ copy/moved/f=1 g=2 link2@")
	// Overwriting replaces a directory by a file, and a file by a directory.
	wantCode(t, m.MovePath(ctx, "", "", "g", "copy", true), "")
	m.wantTree("copy=2 link2@")
	m.write("dir/x", "3")
	wantCode(t, m.CopyPath(ctx, "", "", "dir", "copy", true), "")
	wantCode(t, m.MovePath(ctx, "", "", "dir/x", "dir", true), "")
	m.wantTree("copy/ copy/x=3 dir=3 link2@")
}

func TestListAndStat(t *testing.T) {
	m := newMachine(t)
	m.write("b/c/f", "123")
	m.write("a", "1")
	m.write("b/new\nline", "")
	m.link("b/c", "l")
	list := func(dir string, depth int) string {
		t.Helper()
		entries, err := m.ListDirectory(t.Context(), "", "", dir, depth)
		if err != nil {
			return string(pyth.ErrorCode(err))
		}
		var all []string
		for _, e := range entries {
			all = append(all, fmt.Sprintf("%s:%s:%d:%s", e.Path, e.Type, e.SizeBytes, e.Target))
		}
		return strings.Join(all, " ")
	}
	for _, test := range []struct {
		dir   string
		depth int
		want  string
	}{
		{"", 1, "a:file:1: b:directory:0: l:link:0:b/c"},
		{"", 64, "a:file:1: b:directory:0: b/c:directory:0: b/c/f:file:3: l:link:0:b/c"},
		{"b", 1, "b/c:directory:0:"},
		{"b", 2, "b/c:directory:0: b/c/f:file:3:"},
		{"l", 1, "conflict"},
		{"a", 1, "conflict"},
		{"absent", 1, "not_found"},
		{"..", 1, "invalid_request"},
		{"", 0, "invalid_request"},
	} {
		if got := list(test.dir, test.depth); got != test.want {
			t.Errorf("%q, depth %d:\ngot  %s\nwant %s", test.dir, test.depth, got, test.want)
		}
	}
	for name, want := range map[string]pyth.FileType{"": pyth.FileDirectory, "a": pyth.FileRegular, "b/c": pyth.FileDirectory, "l": pyth.FileLink} {
		if e, err := m.StatFile(t.Context(), "", "", name); err != nil || e.Type != want || e.Path != name || e.ModifiedAt.IsZero() || e.Mode&0o600 != 0o600 {
			t.Errorf("%q: got %+v, %v", name, e, err)
		}
	}
}

func TestReadAndWrite(t *testing.T) {
	m := newMachine(t)
	ctx := t.Context()
	large := strings.Repeat("0123456789", 100_000)
	created, err := m.CreateFile(ctx, "", "", "d/large", strings.NewReader(large))
	if err != nil || !created {
		t.Errorf("got %v, %v", created, err)
	}
	if created, err = m.CreateFile(ctx, "", "", "d/large", strings.NewReader(large+"x")); err != nil || created {
		t.Errorf("got %v, %v", created, err)
	}
	for _, part := range [][2]int64{{0, 0}, {0, 1_000_001}, {999_999, 2}, {1_000_001, 0}, {3, 5}} {
		f, err := m.OpenFile(ctx, "", "", "d/large")
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Section(part[0], part[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != (large + "x")[part[0]:part[0]+part[1]] || f.Entry().SizeBytes != 1_000_001 {
			t.Errorf("%v: got %d bytes, %v", part, len(got), err)
		}
		_ = f.Close()
	}
	broken := errors.New("broken")
	if _, err = m.CreateFile(ctx, "", "", "g", io.MultiReader(strings.NewReader("x"), errorReader{broken})); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	m.link("/etc", "root")
	if err := unix.Mkfifo(filepath.Join(m.work, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(m.work, "sparse"), nil, 0o600), os.Truncate(filepath.Join(m.work, "sparse"), 1<<40)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]pyth.Code{
		"root/passwd": pyth.CodeConflict, "root": pyth.CodeConflict, "fifo": pyth.CodeConflict, "d": pyth.CodeConflict,
		"absent": pyth.CodeNotFound, "sparse": pyth.CodeConflict, "/etc/passwd": pyth.CodeInvalid,
	} {
		_, err := m.OpenFile(ctx, "", "", name)
		wantCode(t, err, want)
	}
	for name, want := range map[string]pyth.Code{"root/x": pyth.CodeConflict, "d": pyth.CodeConflict, "root": "", "fifo": ""} {
		_, err := m.CreateFile(ctx, "", "", name, strings.NewReader("new"))
		wantCode(t, err, want)
	}
	if err := os.Remove(filepath.Join(m.work, "sparse")); err != nil {
		t.Error(err)
	}
	m.wantTree("d/ d/large=" + large + "x fifo=new root=new")
}

type errorReader struct{ error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.error }

func TestArchiveRoundTrip(t *testing.T) {
	for _, format := range pyth.ArchiveFormats() {
		t.Run(string(format), func(t *testing.T) {
			m := newMachine(t)
			m.write("src/a/f", "1")
			m.write("src/a/g", strings.Repeat("x", 500_000))
			m.write("src/run.sh", "#!/bin/sh")
			if err := errors.Join(os.Mkdir(filepath.Join(m.work, "src/empty"), 0o755), os.Chmod(filepath.Join(m.work, "src/run.sh"), 0o755)); err != nil {
				t.Fatal(err)
			}
			m.link("/etc/passwd", "src/link")
			var archive bytes.Buffer
			begun := false
			if err := m.PackFiles(t.Context(), "", "", "src", format, func() { begun = true }, &archive); err != nil || !begun {
				t.Fatal(err)
			}
			n, err := m.UnpackFiles(t.Context(), "", "", "new/dir", format, bytes.NewReader(archive.Bytes()))
			if err != nil || n != 5 {
				t.Errorf("got %d entries, %v", n, err)
			}
			if n, err = m.UnpackFiles(t.Context(), "", "", "new/dir", format, &archive); err != nil || n != 5 {
				t.Errorf("over itself: got %d entries, %v", n, err)
			}
			if err := os.RemoveAll(filepath.Join(m.work, "src")); err != nil {
				t.Error(err)
			}
			m.wantTree("new/ new/dir/ new/dir/a/ new/dir/a/f=1 new/dir/a/g=" + strings.Repeat("x", 500_000) + " new/dir/empty/ new/dir/run.sh=#!/bin/sh")
			if info, err := os.Stat(filepath.Join(m.work, "new/dir/run.sh")); err != nil || info.Mode() != 0o755 {
				t.Errorf("got %v, %v", info, err)
			}
			// Pack and unpack one file and an empty directory. Then check errors.
			archive.Reset()
			if err := m.PackFiles(t.Context(), "", "", "new/dir/a/f", format, func() {}, &archive); err != nil {
				t.Error(err)
			}
			if n, err := m.UnpackFiles(t.Context(), "", "", "", format, &archive); err != nil || n != 1 {
				t.Errorf("got %d entries, %v", n, err)
			}
			archive.Reset()
			if err := m.PackFiles(t.Context(), "", "", "new/dir/empty", format, func() {}, &archive); err != nil {
				t.Error(err)
			}
			if n, err := m.UnpackFiles(t.Context(), "", "", "", format, &archive); err != nil || n != 0 {
				t.Errorf("got %d entries, %v", n, err)
			}
			wantCode(t, m.PackFiles(t.Context(), "", "", "absent", format, func() { t.Error("begun") }, io.Discard), pyth.CodeNotFound)
			// Hard links make a tree much larger than the disk.
			for i := range 20 {
				if err := os.Link(filepath.Join(m.work, "new/dir/a/g"), filepath.Join(m.work, fmt.Sprint("hard", i))); err != nil {
					t.Fatal(err)
				}
			}
			wantCode(t, m.PackFiles(t.Context(), "", "", "", format, func() {}, io.Discard), pyth.CodeConflict)
			wantCode(t, m.CopyPath(t.Context(), "", "", "new", "copy", false), "")
			if err := m.MovePath(t.Context(), "", "", "hard1", "new/hard", false); err != nil {
				t.Error(err)
			}
		})
	}
}

func tarOf(headers ...tar.Header) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range headers {
		content := "content"
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		_ = w.WriteHeader(&h)
		if h.Typeflag == tar.TypeReg {
			_, _ = io.WriteString(w, content)
		}
	}
	_, _ = w.Close(), z.Close()
	return b.String()
}

func zipOf(names ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		h := &zip.FileHeader{Name: strings.TrimSuffix(strings.TrimSuffix(name, "@"), "|")}
		switch {
		case strings.HasSuffix(name, "@"):
			h.SetMode(os.ModeSymlink | 0o777)
		case strings.HasSuffix(name, "|"):
			h.SetMode(os.ModeNamedPipe | 0o777)
		}
		f, err := w.CreateHeader(h)
		if err == nil && !strings.HasSuffix(name, "/") {
			_, _ = io.WriteString(f, "content")
		}
	}
	_ = w.Close()
	return b.String()
}

func TestUnpackRefusesHostileArchives(t *testing.T) {
	m := newMachine(t)
	m.write("keep", "1")
	m.write("dir/f", "1")
	m.link("/tmp", "link")
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	good := file("good")
	bomb := func() string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "good", Size: 1 << 30, Mode: 0o644})
		_, _ = io.CopyN(w, zeros{}, 64<<20)
		_ = z.Close()
		return b.String()
	}
	truncated := tarOf(good, file("more"))
	for name, archive := range map[string]string{
		"dots":             tarOf(good, file("../x")),
		"dots inside":      tarOf(good, file("a/../../x")),
		"absolute":         tarOf(good, file("/tmp/x")),
		"empty":            tarOf(good, file("")),
		"symbolic link":    tarOf(good, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc/passwd"}),
		"hard link":        tarOf(good, tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: "good"}),
		"character device": tarOf(good, tar.Header{Typeflag: tar.TypeChar, Name: "d", Devmajor: 1, Devminor: 3}),
		"block device":     tarOf(good, tar.Header{Typeflag: tar.TypeBlock, Name: "d"}),
		"FIFO":             tarOf(good, tar.Header{Typeflag: tar.TypeFifo, Name: "d"}),
		"unknown type":     tarOf(good, tar.Header{Typeflag: 'Z', Name: "d"}),
		"duplicate":        tarOf(good, file("x"), file("./x")),
		"file, directory":  tarOf(good, file("x"), file("x/y")),
		"directory, file":  tarOf(good, file("x/y"), file("x")),
		"through a link":   tarOf(good, file("link/x")),
		"over a directory": tarOf(good, file("dir")),
		"below a file":     tarOf(good, file("keep/x")),
		"control byte":     tarOf(good, file("a\nb")),
		"deep":             tarOf(good, file(strings.Repeat("a/", 70)+"x")),
		"long":             tarOf(good, file(strings.Repeat("a", 300))),
		"truncated":        truncated[:len(truncated)-20],
		"wrong checksum":   truncated[:len(truncated)-6] + "xxxxxx",
		"no archive":       "hello",
		"nothing":          "",
		"zip":              zipOf("good"),
		"larger than disk": bomb(),
	} {
		_, err := m.UnpackFiles(t.Context(), "", "", "", pyth.ArchiveTarGzip, strings.NewReader(archive))
		if name != "larger than disk" || pyth.ErrorCode(err) != pyth.CodeTooLarge {
			if pyth.ErrorCode(err) != pyth.CodeInvalid {
				t.Errorf("%s: got %v", name, err)
			}
		}
		m.wantTree("dir/ dir/f=1 keep=1 link@")
	}
	for _, names := range [][]string{
		{"good", "../x"},
		{"good", "/x"},
		{"good", `..\x`},
		{"good", "l@"},
		{"good", "p|"},
		{"good", "x", "x"},
		{"good", "x/", "x"},
		{"good", "x", "x/y"},
		{"good", "link/x"},
		{"good", "keep/x"},
		{"good", "dir"},
	} {
		_, err := m.UnpackFiles(t.Context(), "", "", "", pyth.ArchiveZip, strings.NewReader(zipOf(names...)))
		wantCode(t, err, pyth.CodeInvalid)
		m.wantTree("dir/ dir/f=1 keep=1 link@")
	}
	for _, archive := range []string{"", "PK", tarOf(good), zipOf("good")[10:]} {
		_, err := m.UnpackFiles(t.Context(), "", "", "", pyth.ArchiveZip, strings.NewReader(archive))
		wantCode(t, err, pyth.CodeInvalid)
	}
	for dir, want := range map[string]pyth.Code{"link": pyth.CodeConflict, "keep": pyth.CodeConflict, "..": pyth.CodeInvalid} {
		_, err := m.UnpackFiles(t.Context(), "", "", dir, pyth.ArchiveZip, strings.NewReader(zipOf("good")))
		wantCode(t, err, want)
	}
	m.wantTree("dir/ dir/f=1 keep=1 link@")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A program replaces directories by links while operations run. No operation may leave
// the working directory.
func TestRenameRacesStayInside(t *testing.T) {
	m := newMachine(t)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.write("d/secret", "public")
	m.link(outside, "l")
	stop := make(chan bool)
	var racing sync.WaitGroup
	racing.Go(func() {
		a, b := filepath.Join(m.work, "d"), filepath.Join(m.work, "l")
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
			}
		}
	})
	for i := range 60 {
		if f, err := m.OpenFile(t.Context(), "", "", "d/secret"); err == nil {
			r, err := f.Section(0, f.Entry().SizeBytes)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != "public" {
				t.Errorf("read %q, %v", got, err)
			}
			_ = f.Close()
		}
		_, _ = m.CreateFile(t.Context(), "", "", fmt.Sprintf("d/f%d", i), strings.NewReader("x"))
		_, _ = m.MakeDirectory(t.Context(), "", "", fmt.Sprintf("d/d%d", i))
		_ = m.RemovePath(t.Context(), "", "", "d/secret2", false)
		_ = m.CopyPath(t.Context(), "", "", "d", "copy", true)
		var archive bytes.Buffer
		if m.PackFiles(t.Context(), "", "", "", pyth.ArchiveTarGzip, func() {}, &archive) == nil && i%20 == 0 {
			z, err := gzip.NewReader(&archive)
			if err != nil {
				t.Fatal(err)
			}
			if all, err := io.ReadAll(z); err != nil || bytes.Contains(all, []byte("ustar\x00secret")) {
				t.Errorf("the archive has a file from outside, %v", err)
			}
		}
		_, _ = m.UnpackFiles(t.Context(), "", "", "d", pyth.ArchiveZip, strings.NewReader(zipOf("unpacked/f")))
	}
	close(stop)
	racing.Wait()
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory outside has %v, %v", entries, err)
	}
}

// A hostile agent must not be able to send values that break users of the service.
func TestServiceRefusesHostileAgents(t *testing.T) {
	node := func(n *protocol.Node) protocol.Frame { return protocol.NewFrame(protocol.KindNode, n) }
	for name, frames := range map[string][]protocol.Frame{
		"path outside":  {node(&protocol.Node{Path: "../x", Type: protocol.NodeFile})},
		"negative size": {node(&protocol.Node{Path: "x", Type: protocol.NodeFile, SizeBytes: -1})},
		"special mode":  {node(&protocol.Node{Path: "x", Type: protocol.NodeFile, Mode: 0o4755})},
		"unknown type":  {node(&protocol.Node{Path: "x", Type: "?"})},
		"other kind":    {{Kind: protocol.KindHello}},
		"no message":    {{Kind: protocol.KindNode, Payload: []byte("x")}},
		"too large":     {{Kind: protocol.KindNode, Payload: make([]byte, protocol.MaxStreamPayload+1)}},
		"no failure":    {protocol.NewFrame(protocol.KindDone, &protocol.Done{}), {Kind: protocol.KindHello}},
	} {
		s := sessionfiles.New(scripted{frames})
		if name != "no failure" {
			_, err := s.ListDirectory(t.Context(), "", "", "", 1)
			wantCode(t, err, pyth.CodeUnavailable)
		}
		_, err := s.StatFile(t.Context(), "", "", "x")
		wantCode(t, err, pyth.CodeUnavailable)
		_, err = s.OpenFile(t.Context(), "", "", "x")
		wantCode(t, err, pyth.CodeUnavailable)
		_, err = s.UnpackFiles(t.Context(), "", "", "", pyth.ArchiveZip, strings.NewReader("x"))
		wantCode(t, err, pyth.CodeUnavailable)
	}
	many := slices.Repeat([]protocol.Frame{node(&protocol.Node{Path: "x", Type: protocol.NodeFile})}, protocol.MaxListed+1)
	_, err := sessionfiles.New(scripted{many}).ListDirectory(t.Context(), "", "", "", 1)
	wantCode(t, err, pyth.CodeUnavailable)
	_, err = sessionfiles.New(scripted{}).ListDirectory(t.Context(), "", "", "", 1)
	wantCode(t, err, pyth.CodeNotFound)
}

// scripted is an agent that sends the same frames for each request.
type scripted struct{ frames []protocol.Frame }

func (s scripted) Stream(context.Context, pyth.UserID, pyth.SessionID) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		for _, f := range s.frames {
			if protocol.NewStream(theirs).SendAll(f) != nil {
				return
			}
		}
	}()
	return ours, nil
}

// watching collects the events of a directory as text.
type watching struct {
	*machine
	events chan string
	stop   context.CancelFunc
	ended  chan error
}

func (m *machine) watch(dir string, recursive bool) *watching {
	m.Helper()
	ctx, stop := context.WithCancel(m.Context())
	w := &watching{m, make(chan string, 10_000), stop, make(chan error, 1)}
	begun := make(chan bool)
	go func() {
		w.ended <- m.WatchFiles(ctx, "", "", dir, recursive, func() error { close(begun); return nil }, func(e *pyth.FileEvent) error {
			text := fmt.Sprintf("%s %s", e.Type, e.Path)
			if e.From != "" {
				text += " from " + e.From
			}
			w.events <- text
			return nil
		})
	}()
	select {
	case <-begun:
	case err := <-w.ended:
		m.Fatal(err)
	}
	m.Cleanup(stop)
	return w
}

// until waits for an event, and returns it with all events before it.
func (w *watching) until(last string) (all []string) {
	w.Helper()
	for {
		select {
		case e := <-w.events:
			if all = append(all, e); e == last {
				return all
			}
		case err := <-w.ended:
			w.Fatalf("got %v and %v", all, err)
		}
	}
}

func TestWatch(t *testing.T) {
	m := newMachine(t)
	m.write("d/old/f", "1")
	flat, deep := m.watch("d", false), m.watch("", true)
	do := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(name, err)
		}
	}
	at := func(name string) string { return filepath.Join(m.work, name) }
	m.write("d/a", "1")
	do("rename", os.Rename(at("d/a"), at("d/b")))
	do("rename", os.Rename(at("d/old"), at("d/new")))
	m.write("d/new/g", "")
	m.write("d/x/y/z", "1")
	do("move out", os.Rename(at("d/b"), filepath.Join(m.staging, "b")))
	do("move in", os.Rename(filepath.Join(m.staging, "b"), at("d/c")))
	do("remove", os.Remove(at("d/c")))
	want := "create d/a,write d/a,rename d/b from d/a,rename d/new from d/old,create d/x,remove d/b,create d/c,remove d/c"
	if got := strings.Join(flat.until("remove d/c"), ","); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got := strings.Join(deep.until("remove d/c"), ",")
	for _, part := range []string{"create d/new/g", "create d/x,", "create d/x/y,", "create d/x/y/z"} {
		if !strings.Contains(got, part) {
			t.Errorf("got %s without %s", got, part)
		}
	}
	do("remove", os.RemoveAll(at("d")))
	if err := <-flat.ended; err != nil {
		t.Error(err)
	}
	deep.stop()
	if err := <-deep.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for name, want := range map[string]pyth.Code{"absent": pyth.CodeNotFound, "..": pyth.CodeInvalid} {
		wantCode(t, m.WatchFiles(t.Context(), "", "", name, false, nil, nil), want)
	}
	m.link("/tmp", "link")
	wantCode(t, m.WatchFiles(t.Context(), "", "", "link", false, nil, nil), pyth.CodeConflict)
}

// A receiver that is slower than the changes learns that events are missing.
func TestWatchReportsOverflow(t *testing.T) {
	m := newMachine(t)
	begun, read := make(chan bool), make(chan bool)
	types := make(chan pyth.FileEventType, 100_000)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- m.WatchFiles(ctx, "", "", "", false, func() error { close(begun); return nil }, func(e *pyth.FileEvent) error {
			<-read
			types <- e.Type
			return nil
		})
	}()
	<-begun
	for i := range 5000 {
		m.write(fmt.Sprint("f", i), "")
	}
	close(read)
	for {
		if e := <-types; e == pyth.FilesOverflow {
			break
		}
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("the watch ended without the cause of its context")
	}
}

func TestWatchesAreLimited(t *testing.T) {
	m := newMachine(t)
	for range 8 {
		m.watch("", false)
	}
	wantCode(t, m.WatchFiles(t.Context(), "", "", "", false, nil, nil), pyth.CodeConflict)
}
