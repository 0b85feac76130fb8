package rootfs_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	goerofs "github.com/erofs/go-erofs"
	"github.com/google/go-cmp/cmp"
	gvisor "gvisor.dev/gvisor/pkg/erofs"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

func TestImageHasAllMountPoints(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	for name, want := range map[string]fs.FileMode{
		"dev": 0o755, "dev/shm": 0o755, "dev/pts": 0o755, "etc": 0o755, "home/sandbox": 0o755, "mnt": 0o755,
		"opt": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755, "srv": 0o755, "sys": 0o755,
		"tmp": 0o777 | fs.ModeSticky, "work": 0o755, "var/log": 0o755,
		"usr/local/lib/python3.14/site-packages": 0o755,
	} {
		info, err := fs.Lstat(fsys, name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Sys().(*goerofs.Stat).Mode; got != want|fs.ModeDir {
			t.Errorf("%s has mode %v, want %v", name, got, want|fs.ModeDir)
		}
	}
}

func TestImageHasTheExpectedLinks(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	for name, want := range map[string]string{
		"bin/sh":                        "usr/bin/dash",
		"usr/local/bin/python":          "usr/local/bin/python3.14",
		"usr/local/bin/python3":         "usr/local/bin/python3.14",
		"lib64/ld-linux-x86-64.so.2":    "usr/lib64/ld-linux-x86-64.so.2",
		"etc/ssl/cert.pem":              "etc/ssl/certs/ca-certificates.crt",
		"usr/lib/ssl/cert.pem":          "etc/ssl/certs/ca-certificates.crt",
		"usr/lib/ssl/certs":             "etc/ssl/certs",
		"etc/localtime":                 "usr/share/zoneinfo/UTC",
		"etc/os-release":                "usr/lib/os-release",
		"var/tmp":                       "tmp",
		"var/run":                       "run",
		"sbin":                          "usr/sbin",
		"bin/ls":                        "usr/bin/ls",
		"usr/share/zoneinfo/Asia/Tokyo": "usr/share/zoneinfo/Asia/Tokyo",
	} {
		if name == "bin/sh" {
			// In the image, /bin/sh must be the same shell as on this machine.
			host, err := filepath.EvalSymlinks("/bin/sh")
			if err != nil {
				t.Fatal(err)
			}
			want = "usr/bin/" + filepath.Base(host)
		}
		if got, err := resolve(fsys, name); err != nil || got != want {
			t.Errorf("%s resolves to %s, error %v; want %s", name, got, err, want)
		}
	}
}

func TestImageHasNoBrokenLinks(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	links := 0
	walk(t, fsys, func(name string, stat *goerofs.Stat) {
		// The link etc/mtab leads to /proc, which is not mounted in this test.
		if stat.Mode.Type() != fs.ModeSymlink || name == "etc/mtab" {
			return
		}
		links++
		if _, err := resolve(fsys, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	if links < 10 {
		t.Errorf("the image has only %d links", links)
	}
}

func TestImageBelongsToRootWithoutSetuid(t *testing.T) {
	t.Parallel()
	walk(t, open(t), func(name string, stat *goerofs.Stat) {
		if stat.UID != 0 || stat.GID != 0 {
			t.Errorf("%s belongs to %d:%d", name, stat.UID, stat.GID)
		}
		if stat.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			t.Errorf("%s has mode %v", name, stat.Mode)
		}
		switch stat.Mode.Type() {
		case fs.ModeSymlink:
			return
		case 0, fs.ModeDir:
		default:
			t.Errorf("%s has mode %v", name, stat.Mode)
		}
		if stat.Mode&0o022 != 0 && name != "tmp" {
			t.Errorf("%s can be written by others: %v", name, stat.Mode)
		}
		if len(stat.Xattrs) > 0 {
			t.Errorf("%s has extended attributes: %v", name, stat.Xattrs)
		}
		if stat.Mtime != 1767225600 {
			t.Errorf("%s has the time %d", name, stat.Mtime)
		}
	})
}

// TestImageHasOnlyFixedFilesInEtc checks that /etc contains only the listed files. Any
// other file could be a copy of a file of this machine.
func TestImageHasOnlyFixedFilesInEtc(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	var got []string
	walk(t, fsys, func(name string, stat *goerofs.Stat) {
		if strings.HasPrefix(name, "etc/") && !stat.Mode.IsDir() {
			got = append(got, name)
		}
	})
	want := []string{
		"etc/group", "etc/hostname", "etc/hosts", "etc/ld.so.conf", "etc/localtime", "etc/mtab",
		"etc/nsswitch.conf", "etc/os-release", "etc/passwd", "etc/protocols", "etc/resolv.conf",
		"etc/services", "etc/ssl/cert.pem", "etc/ssl/certs/ca-certificates.crt",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for name, want := range map[string]string{
		"etc/passwd":      "root:x:0:0:root:/root:/bin/sh\nsandbox:x:1000:1000:sandbox:/home/sandbox:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"etc/group":       "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
		"etc/hostname":    "sandbox\n",
		"etc/resolv.conf": "",
	} {
		if diff := cmp.Diff(want, string(read(t, fsys, name))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestImageHasTheAgent(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	agent, err := guest.Agent()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, fsys, guest.AgentPath[1:]), agent) {
		t.Error("the image has another agent")
	}
	info, err := fs.Stat(fsys, guest.AgentPath[1:])
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the agent has mode %v, error %v", info.Mode(), err)
	}
	hook, err := guest.PythonHook()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"usercustomize.py", "session.py", "definitions.py"} {
		want, err := fs.ReadFile(hook, name)
		if err != nil || !bytes.Equal(read(t, fsys, path.Join(protocol.PythonHookDir[1:], name)), want) {
			t.Errorf("%s of the hook differs, error %v", name, err)
		}
	}
}

func TestImageHasPythonVersion(t *testing.T) {
	t.Parallel()
	var details struct {
		Implementation struct {
			Version struct{ Major, Minor, Micro int }
		}
	}
	err := json.Unmarshal(read(t, open(t), "usr/local/lib/python3.14/build-details.json"), &details)
	v := details.Implementation.Version
	if got := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro); err != nil || got != shared(t).PythonVersion {
		t.Errorf("the version is %s, error %v; reported %s", got, err, shared(t).PythonVersion)
	}
}

func TestImageHasTheCompiledStandardLibrary(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	const library = "usr/local/lib/python3.14/"
	sources := 0
	walk(t, fsys, func(name string, _ *goerofs.Stat) {
		if !strings.HasPrefix(name, library) || path.Ext(name) != ".py" {
			return
		}
		sources++
		base := strings.TrimSuffix(path.Base(name), ".py")
		compiled, err := fs.ReadFile(fsys, path.Join(path.Dir(name), "__pycache__", base+".cpython-314.pyc"))
		if err != nil {
			t.Error(err)
			return
		}
		// The value 1 of the flags means that the file contains a hash of its source.
		// Python does not check this hash (PEP 552).
		if !bytes.Equal(compiled[4:8], []byte{1, 0, 0, 0}) {
			t.Errorf("%s has flags %v", name, compiled[4:8])
		}
		if !bytes.Contains(compiled, []byte("/"+name)) {
			t.Errorf("%s does not know its path", name)
		}
	})
	if sources < 500 {
		t.Errorf("the image has only %d modules", sources)
	}
}

func TestImageOmitsUnneededFiles(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"usr/local/include", "usr/local/lib/*.so*", "usr/local/lib/*.a",
		"usr/local/lib/python3.14/tkinter", "usr/local/lib/python3.14/idlelib", "usr/local/lib/python3.14/test",
		"usr/local/lib/python3.14/turtledemo", "usr/local/lib/python3.14/ensurepip",
		"usr/local/lib/python3.14/config-*", "usr/local/lib/python3.14/lib-dynload/_test*",
	} {
		if found, err := fs.Glob(open(t), pattern); err != nil || len(found) > 0 {
			t.Errorf("%s: %v, error %v", pattern, found, err)
		}
	}
}

// loaderDirs contains directories with shared libraries. The directories of Debian's
// loader come first. The directories of other distributions come after them.
var loaderDirs = []string{
	"lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib",
}

func TestImageHasLoaderAndLibrariesOfAllPrograms(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	programs := make(map[string]bool)
	check := func(name string, data []byte) {
		f, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		programs[name] = true
		if f.Machine != elf.EM_X86_64 {
			t.Errorf("%s is for %v", name, f.Machine)
		}
		for _, p := range f.Progs {
			if p.Type != elf.PT_INTERP {
				continue
			}
			loader := make([]byte, p.Filesz-1)
			if _, err := p.ReadAt(loader, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := resolve(fsys, string(loader[1:])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		needed, err := f.ImportedLibraries()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		dirs := loaderDirs
		for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
			paths, err := f.DynString(tag)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, p := range paths {
				dirs = append(slices.Clone(dirs), strings.TrimPrefix(strings.ReplaceAll(p, "$ORIGIN", "/"+path.Dir(name)), "/"))
			}
		}
		for _, library := range needed {
			if !slices.ContainsFunc(dirs, func(dir string) bool {
				_, err := resolve(fsys, path.Join(dir, library))
				return err == nil
			}) {
				t.Errorf("%s does not find %s", name, library)
			}
		}
	}
	walk(t, fsys, func(name string, stat *goerofs.Stat) {
		if !stat.Mode.IsRegular() {
			return
		}
		data := read(t, fsys, name)
		switch {
		case bytes.HasPrefix(data, []byte(elf.ELFMAG)):
			check(name, data)
		case bytes.HasPrefix(data, []byte("#!")) && stat.Mode&0o111 != 0:
			line, _, _ := strings.Cut(string(data[2:]), "\n")
			if _, err := resolve(fsys, strings.TrimSpace(line)[1:]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	for _, name := range []string{
		"usr/local/bin/python3.14", "pyth-on/guest", "usr/bin/bash", "usr/bin/ls",
		"usr/lib64/ld-linux-x86-64.so.2", "usr/local/lib/python3.14/lib-dynload/_dbm.cpython-314-x86_64-linux-gnu.so",
	} {
		if !programs[name] {
			t.Errorf("%s is missing", name)
		}
	}
	for _, library := range []string{
		"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
		"libgcc_s.so.1", "libstdc++.so.6",
	} {
		if !slices.ContainsFunc(loaderDirs, func(dir string) bool { return programs[path.Join("usr", strings.TrimPrefix(dir, "usr/"), library)] }) {
			t.Errorf("%s is missing", library)
		}
	}
}

func TestImageHasTheLoaderOnce(t *testing.T) {
	t.Parallel()
	var got []string
	walk(t, open(t), func(name string, _ *goerofs.Stat) {
		if path.Base(name) == "ld-linux-x86-64.so.2" {
			got = append(got, name)
		}
	})
	if diff := cmp.Diff([]string{"usr/lib64/ld-linux-x86-64.so.2"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestImageHasEachToolOrReportsIt(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	missing := shared(t).Missing
	if !slices.IsSorted(missing) {
		t.Errorf("not sorted: %v", missing)
	}
	for _, name := range []string{"bash", "cat", "awk", "grep", "sed", "tar", "gzip", "find", "xargs", "diff", "which", "[", "ps", "git", "curl", "less", "jq", "top"} {
		_, err := resolve(fsys, "bin/"+name)
		if told := slices.Contains(missing, name); told == (err == nil) {
			t.Errorf("%s: reported as missing: %v, error %v", name, told, err)
		}
	}
}

func TestImageHasTheFilesOfGitAndVim(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	for program, file := range map[string]string{
		"bin/git": "usr/lib/git-core/git-remote-https", "bin/vim": "usr/share/vim/*/defaults.vim",
	} {
		if _, err := resolve(fsys, program); err != nil {
			t.Errorf("the image has no %s: run scripts/prerequisites: %v", program, err)
			continue
		}
		if found, err := fs.Glob(fsys, file); err != nil || len(found) == 0 {
			t.Errorf("the image has %s, but not %s: %v", program, file, err)
		}
	}
}

func TestImageKnowsTheVersionOfBash(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "bash", "-c", "echo ${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}.${BASH_VERSINFO[2]}").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(out)); shared(t).BashVersion != want {
		t.Errorf("version %q, want %q", shared(t).BashVersion, want)
	}
}

func TestImageHasFullyTrustedCertificates(t *testing.T) {
	t.Parallel()
	count := 0
	for rest := read(t, open(t), "etc/ssl/certs/ca-certificates.crt"); len(rest) > 0; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			t.Fatal("the file contains more than certificates")
		}
		if bytes.Contains(block.Bytes, []byte("Izenpe.com")) {
			t.Error("the file contains Izenpe.com, which is only trusted until 2026-04-15")
		}
	}
	if count < 100 {
		t.Errorf("there are only %d certificates", count)
	}
}

func TestImageHasTimeZones(t *testing.T) {
	t.Parallel()
	fsys := open(t)
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12"} {
		// A time zone file begins with "TZif" (RFC 9636, section 3.1).
		if !bytes.HasPrefix(read(t, fsys, "usr/share/zoneinfo/"+zone), []byte("TZif")) {
			t.Errorf("%s is not a time zone", zone)
		}
	}
}

func TestImageFilesCanBeMappedByGVisor(t *testing.T) {
	t.Parallel()
	f, err := os.Open(shared(t).Path)
	if err != nil {
		t.Fatal(err)
	}
	image, err := gvisor.OpenImage(f)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	files := make(map[string]int)
	var visit func(nid uint64)
	visit = func(nid uint64) {
		inode, err := image.Inode(nid)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case inode.IsRegular():
			files["regular"]++
			offset, err := inode.DataOffset()
			if err != nil || offset%4096 != 0 {
				t.Errorf("inode %d is at %d, error %v", nid, offset, err)
			}
			if _, err := image.BytesAt(offset, (inode.Size()+4095)&^4095); inode.Size() > 0 && err != nil {
				t.Errorf("inode %d cannot be mapped by pages: %v", nid, err)
			}
		case inode.IsSymlink():
			files["link"]++
		default:
			files["directory"]++
			err := inode.IterDirents(func(name string, _ uint8, child uint64) error {
				if name != "." && name != ".." {
					visit(child)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	visit(image.RootNid())
	seen := make(map[string]int)
	walk(t, open(t), func(_ string, stat *goerofs.Stat) {
		seen[map[fs.FileMode]string{0: "regular", fs.ModeSymlink: "link", fs.ModeDir: "directory"}[stat.Mode.Type()]]++
	})
	if !maps.Equal(files, seen) {
		t.Errorf("gVisor reads %v, go-erofs %v", files, seen)
	}
}
