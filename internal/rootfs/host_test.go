package rootfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// place creates a directory with copies of files from this machine. The keys of the
// parameter "files" are the names of the copies. The values are the paths of the
// originals.
func place(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, from := range files {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func scripts(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The function "planned" describes each path of a plan. The description contains the
// mode, and the target or the content.
func planned(t *testing.T, p plan) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for at, e := range p {
		content := bytes.NewBufferString(e.Target)
		if e.Mode.IsRegular() {
			if err := e.CopyTo(content); err != nil {
				t.Fatal(err)
			}
		}
		all[at] = e.Mode.String() + " " + content.String()
	}
	return all
}

func TestHostNamesMissingRequiredPackages(t *testing.T) {
	t.Parallel()
	h := host{loader: filepath.Join(t.TempDir(), "ld-linux-x86-64.so.2")}
	_, err := h.addTo(make(plan))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"libc.so.6", "libc6", "libgcc-s1", "libstdc++6", "dash", "ld-linux-x86-64.so.2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not contain %s", err, want)
		}
	}
}

func TestHostReportsMissingOptionalFiles(t *testing.T) {
	t.Parallel()
	h := thisHost()
	h.programs = []string{place(t, map[string]string{"sh": "/bin/sh"})}
	h.terminfo, h.locales = nil, nil
	p := make(plan)
	missing, err := h.addTo(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(tools(), "terminfo xterm", "locale C.UTF-8") {
		if !slices.Contains(missing, want) {
			t.Errorf("%s is not reported as missing", want)
		}
	}
	if slices.Contains(missing, "sh") || !p.has("usr/bin/sh") {
		t.Error("sh is missing")
	}
}

func TestToolLinksOtherNamesOfAProgram(t *testing.T) {
	t.Parallel()
	dir := scripts(t, map[string]string{"mawk": "#!/bin/sh\n# awk\n"})
	for _, alias := range []string{"awk", "nawk"} {
		if err := os.Symlink("mawk", filepath.Join(dir, alias)); err != nil {
			t.Fatal(err)
		}
	}
	c := &collector{host: host{programs: []string{dir}}, plan: make(plan)}
	for _, name := range []string{"awk", "nawk", "mawk"} {
		if err := c.tool(name); err != nil {
			t.Error(err)
		}
	}
	want := map[string]string{
		"usr/bin/mawk": "-rwxr-xr-x #!/bin/sh\n# awk\n",
		"usr/bin/awk":  "Lrwxrwxrwx mawk",
		"usr/bin/nawk": "Lrwxrwxrwx mawk",
	}
	if diff := cmp.Diff(want, planned(t, c.plan)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestToolKeepsTwoProgramsWithOneName(t *testing.T) {
	t.Parallel()
	bin := scripts(t, map[string]string{"tool": "#!/bin/sh\n# one\n"})
	other := scripts(t, map[string]string{"tool": "#!/bin/sh\n# other\n"})
	if err := os.Symlink(filepath.Join(other, "tool"), filepath.Join(bin, "alias")); err != nil {
		t.Fatal(err)
	}
	c := &collector{host: host{programs: []string{bin}}, plan: make(plan)}
	for _, name := range []string{"tool", "alias"} {
		if err := c.tool(name); err != nil {
			t.Error(err)
		}
	}
	want := map[string]string{
		"usr/bin/tool":  "-rwxr-xr-x #!/bin/sh\n# one\n",
		"usr/bin/alias": "-rwxr-xr-x #!/bin/sh\n# other\n",
	}
	if diff := cmp.Diff(want, planned(t, c.plan)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestToolSkipsProgramsThatCannotRun(t *testing.T) {
	t.Parallel()
	dir := scripts(t, map[string]string{
		"perl":  "#!/usr/bin/perl\n",
		"bashy": "#!/bin/bash\n", // The directory does not contain bash.
		"env":   "#!/usr/bin/env sh\n",
		"empty": "",
		"text":  "echo no interpreter is named\n",
		"elf":   "\x7fELF, but not really",
	})
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	// This directory contains bash, but not the libraries of bash.
	bash := place(t, map[string]string{"bash": "/bin/bash"})
	c := &collector{host: host{programs: []string{dir, bash}}, plan: make(plan)}
	for _, name := range []string{"perl", "bashy", "env", "empty", "text", "elf", "directory", "dangling", "absent", "bash"} {
		if c.tool(name) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if len(c.plan) > 0 {
		t.Errorf("planned: %v", c.plan)
	}
}

// hostLibrary returns the path of a shared library of this machine.
func hostLibrary(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range thisHost().libraries {
		if path := filepath.Join(dir, name); readable(path) {
			return path
		}
	}
	t.Fatalf("this machine has no %s", name)
	return ""
}

func readable(path string) bool {
	_, err := os.ReadFile(path)
	return err == nil
}

func TestLibraryAddsDependencies(t *testing.T) {
	t.Parallel()
	const name = "libstdc++.so.6"
	c := &collector{host: thisHost(), plan: make(plan)}
	if err := c.library(name, nil); err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(c.plan))
	for at, e := range c.plan {
		got = append(got, filepath.Base(at))
		if !strings.HasPrefix(at, "usr/lib") || !e.Mode.IsRegular() {
			t.Errorf("%s has mode %v in the plan", at, e.Mode)
		}
	}
	slices.Sort(got)
	want := []string{"ld-linux-x86-64.so.2", "libc.so.6", "libgcc_s.so.1", "libm.so.6", "libstdc++.so.6"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	alone := place(t, map[string]string{name: hostLibrary(t, name)})
	c = &collector{host: host{libraries: []string{alone}, loader: loader}, plan: make(plan)}
	if err := c.library(name, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tool without its libraries: error %v", err)
	}
	for at := range c.plan {
		if filepath.Base(at) == name {
			t.Error("the plan contains a tool without its libraries")
		}
	}
}

func TestLibrarySkipsOtherMachines(t *testing.T) {
	t.Parallel()
	const name = "libm.so.6"
	data, err := os.ReadFile(hostLibrary(t, name))
	if err != nil {
		t.Fatal(err)
	}
	const machine = 18  // the offset of e_machine in an ELF header
	data[machine] = 183 // EM_AARCH64.
	foreign := scripts(t, map[string]string{name: string(data)})
	h := thisHost()
	h.libraries = append([]string{foreign}, h.libraries...)
	c := &collector{host: h, plan: make(plan)}
	if err := c.library(name, nil); err != nil {
		t.Fatal(err)
	}
	for path := range c.plan {
		if strings.HasPrefix("/"+path, foreign) {
			t.Errorf("%s is accepted", path)
		}
	}
	c = &collector{host: host{libraries: []string{foreign}}, plan: make(plan)}
	if err := c.library(name, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestSearchedReturnsSystemDirectoriesOnly(t *testing.T) {
	t.Parallel()
	n := needs{paths: []string{
		"/usr/lib/private", "$ORIGIN/../lib/tool", "${ORIGIN}", "/home/someone/lib", "/usr/lib/../../home/someone", "relative", "",
	}}
	want := []string{"/usr/lib/private", "/usr/lib/tool"}
	if diff := cmp.Diff(want, n.searched("/usr/bin")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestKeyDependsOnAllInputs(t *testing.T) {
	t.Parallel()
	base := func() plan {
		p := make(plan)
		p.dir("d", 0o755)
		p.file("d/f", 0o644, []byte("data"))
		p.link("l", "d")
		return p
	}
	keyOf := func(p plan, python string) string {
		key, err := p.key(python)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := keyOf(base(), "python")
	if again := keyOf(base(), "python"); again != key {
		t.Errorf("the same plan has the keys %s and %s", key, again)
	}
	for name, change := range map[string]func(plan){
		"content":                func(p plan) { p.file("d/f", 0o644, []byte("date")) },
		"a mode":                 func(p plan) { p.file("d/f", 0o600, []byte("data")) },
		"a target":               func(p plan) { p.link("l", "e") },
		"file instead of a link": func(p plan) { p.file("l", 0, []byte("d")) },
		"a name":                 func(p plan) { delete(p, "l"); p.link("m", "d") },
		"additional entry":       func(p plan) { p.file("e", 0o644, nil) },
		"missing entry":          func(p plan) { delete(p, "l") },
		"content moved to names": func(p plan) { delete(p, "d/f"); p.file("d/fd", 0o644, []byte("ata")) },
	} {
		p := base()
		change(p)
		if keyOf(p, "python") == key {
			t.Errorf("%s does not change the key", name)
		}
	}
	if keyOf(base(), "python 2") == key {
		t.Error("another Python does not change the key")
	}
}
