// Package debian makes root file systems from Debian packages. It uses the programs apt
// and dpkg-deb of this machine, and does not have to run as root.
//
// apt verifies each package with the signature of its archive. No program and no
// maintainer script of a package runs. Build does not use or change the packages that are
// installed on this machine. The same Debian packages always give the same
// bytes.
package debian

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// Options configures Build.
type Options struct {
	// Packages contains packages in the syntax of apt-get, for example python3 or
	// python3-numpy=1:1.24.2-1.
	Packages []string
	// Exclude contains patterns for package names, in the syntax of path/filepath.Match.
	// Build omits matching packages, even if other packages depend on them.
	Exclude []string
	// Suite is the release, such as "trixie". Mirror is the URL of the archive. If both
	// are "", Build uses the archives in the apt configuration of this machine.
	Suite, Mirror string
	// Dir is a directory for temporary files. These are the packages and their unpacked
	// content.
	Dir string
	// Build calls Progress with the name of a step and the numbers of completed parts and
	// of all parts.
	Progress func(step string, done, total int)
}

// keyring is the path of the file with the public keys for Debian's archive.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// basePackages returns the packages of a shell and of common tools. Most programs expect
// these tools.
func basePackages() []string {
	return []string{"base-files", "coreutils", "dash", "findutils", "grep", "gzip", "sed", "tar"}
}

// Build writes the root file system to w, as a tar archive. It returns the sorted
// names of its packages.
func Build(ctx context.Context, o Options, w io.Writer) (packages []string, err error) {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("debian: this machine has no %s; use a machine with Debian or Ubuntu, or export a container image: %w", tool, err)
		}
	}
	for _, p := range o.Packages {
		if p == "" || strings.HasPrefix(p, "-") || strings.ContainsAny(p, " \t\n/") {
			return nil, fmt.Errorf("debian: %q is not the name of a package", p)
		}
	}
	dir, err := os.MkdirTemp(o.Dir, ".debian-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	a := &apt{Options: o, dir: dir}
	debs, err := a.download(ctx)
	if err != nil {
		return nil, err
	}
	files, err := tree.NewSpooled(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	if err := addSkeleton(files); err != nil {
		return nil, err
	}
	for i, deb := range debs {
		o.Progress("Unpacking packages", i, len(debs))
		if err := unpack(ctx, files, deb); err != nil {
			return nil, fmt.Errorf("debian: unpack %s: %w", filepath.Base(deb), err)
		}
		packages = append(packages, name(deb))
	}
	o.Progress("Unpacking packages", len(debs), len(debs))
	if err := applyPostinst(files); err != nil {
		return nil, err
	}
	// The time is constant, because the same packages must always give the same bytes.
	at := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	const mib = 1 << 20
	return packages, files.WriteTar(ctx, w, at, func(done, total int64) {
		o.Progress("Writing the root file system", int((done+mib-1)/mib), int((total+mib-1)/mib))
	})
}

// The type "apt" runs apt-get with separate state directories. In these directories, no
// package is installed.
type apt struct {
	Options
	dir string
}

// download downloads the packages and all packages on which they depend. It returns the
// paths of the package files, sorted by name.
func (a *apt) download(ctx context.Context) ([]string, error) {
	for _, d := range []string{"state/lists/partial", "cache/archives/partial", "log", "etc"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(a.dir, "status"), nil, 0o644); err != nil {
		return nil, err
	}
	if err := a.writeSources(ctx); err != nil {
		return nil, err
	}
	if err := a.run(ctx, "Reading the package lists of the archive", "update"); err != nil {
		return nil, err
	}
	args := append([]string{"install", "--yes", "--download-only", "--no-install-recommends", "--"}, basePackages()...)
	if err := a.run(ctx, "Downloading packages", append(args, a.Packages...)...); err != nil {
		return nil, err
	}
	debs, err := filepath.Glob(filepath.Join(a.dir, "cache/archives/*.deb"))
	if err != nil {
		return nil, err
	}
	excluded := func(deb string) bool {
		return slices.ContainsFunc(a.Exclude, func(pattern string) bool {
			match, _ := filepath.Match(pattern, name(deb))
			return match
		})
	}
	return slices.DeleteFunc(debs, excluded), nil
}

// writeSources writes apt's list of archives if the options contain a suite.
// Otherwise apt uses this machine's list.
func (a *apt) writeSources(ctx context.Context) error {
	if a.Suite == "" && a.Mirror == "" {
		return nil
	}
	if a.Suite == "" {
		return errors.New("debian: --mirror needs a suite too")
	}
	mirror, security := a.Mirror, ""
	if mirror == "" {
		var err error
		if mirror, security, err = configuredArchives(ctx); err != nil {
			return err
		}
	}
	if strings.ContainsAny(mirror+a.Suite, " \t\n[]") {
		return fmt.Errorf("debian: %q is not a mirror, or %q is not a suite", mirror, a.Suite)
	}
	if _, err := os.Stat(keyring); err != nil {
		return fmt.Errorf("debian: packages cannot be checked; install debian-archive-keyring: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "deb [signed-by=%s] %s %s main\n", keyring, mirror, a.Suite)
	if a.Mirror == "" && a.Suite != "sid" && a.Suite != "unstable" {
		fmt.Fprintf(&b, "deb [signed-by=%s] %s %s-updates main\n", keyring, mirror, a.Suite)
		if security != "" {
			fmt.Fprintf(&b, "deb [signed-by=%s] %s %s-security main\n", keyring, security, a.Suite)
		}
	}
	return os.WriteFile(a.sources(), b.Bytes(), 0o644)
}

// configuredArchives returns the URLs of Debian's archive and of its security updates. It
// reads the URLs from the apt configuration of this machine. The result "security" is ""
// if the configuration contains no security updates.
func configuredArchives(ctx context.Context) (mirror, security string, err error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages").Output()
	if err != nil {
		return "", "", fmt.Errorf("debian: read the archives of apt: %w; set --mirror", err)
	}
	for line := range strings.Lines(string(out)) {
		switch uri, label, _ := strings.Cut(strings.TrimSpace(line), " "); label {
		case "Debian":
			mirror = uri
		case "Debian-Security":
			security = uri
		}
	}
	if mirror == "" {
		return "", "", errors.New("debian: apt on this machine has no Debian archive; run `apt-get update` or set --mirror")
	}
	return mirror, security, nil
}

func (a *apt) sources() string { return filepath.Join(a.dir, "etc/sources.list") }

// run executes apt-get and reports its progress. The reports contain the given name. The
// options (apt.conf(5)) select the separate state directories.
func (a *apt) run(ctx context.Context, step string, args ...string) error {
	options := []string{
		"Dir::State=" + filepath.Join(a.dir, "state"),
		"Dir::State::status=" + filepath.Join(a.dir, "status"),
		"Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"Dir::Log=" + filepath.Join(a.dir, "log"),
		// Do not let apt change to its own unprivileged user, because this user could not
		// write to the directories.
		"APT::Sandbox::User=",
		"APT::Architecture=amd64",
		"APT::Architectures=amd64",
		"APT::Update::Error-Mode=any",
		// Disable hooks, because they are for changes of the packages that are installed
		// on this machine.
		"APT::Update::Post-Invoke=", "APT::Update::Post-Invoke-Success=", "DPkg::Pre-Install-Pkgs=",
		"Acquire::Languages=none",
		"APT::Status-Fd=3",
	}
	if _, err := os.Stat(a.sources()); err == nil {
		options = append(options, "Dir::Etc::SourceList="+a.sources(), "Dir::Etc::SourceParts="+filepath.Join(a.dir, "etc/none"))
	}
	command := make([]string, 0, 2*len(options)+1+len(args))
	for _, o := range options {
		command = append(command, "-o", o)
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(append(command, "--quiet"), args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	status, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{theirs}
	a.Progress(step, 0, 100)
	err = cmd.Start()
	_ = theirs.Close()
	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		a.relay(step, status)
	}()
	if err == nil {
		err = cmd.Wait()
	}
	<-relayed
	_ = status.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("debian: apt-get %s: %w: %s", args[0], err, errorLines(output.String()))
	}
	a.Progress(step, 100, 100)
	return nil
}

// relay reports apt's progress. A line has four fields, separated by colons:
// kind, item, percent and text (README.progress-reporting of apt).
func (a *apt) relay(step string, status io.Reader) {
	last := 0
	for lines := bufio.NewScanner(status); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), ":", 4)
		if len(fields) < 4 || fields[0] != "dlstatus" {
			continue
		}
		if percent, err := strconv.ParseFloat(fields[2], 64); err == nil && int(percent) > last {
			last = min(int(percent), 99)
			a.Progress(step, last, 100)
		}
	}
	_, _ = io.Copy(io.Discard, status) // The loop stops early at a line that is too long.
}

// errorLines returns the errors and warnings in apt's output. If there are no errors or
// warnings, it returns the whole output.
func errorLines(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "E:") || strings.HasPrefix(line, "W:") || strings.Contains(line, "Depends:") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(lines) == 0 {
		return strings.TrimSpace(output)
	}
	return strings.Join(lines, "; ")
}

// name returns the name of the package in a package file.
func name(deb string) string {
	name, _, _ := strings.Cut(filepath.Base(deb), "_")
	return name
}

// The function "unpack" adds the files of a package to the root file system.
func unpack(ctx context.Context, files *tree.Tree, deb string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	var messages bytes.Buffer
	cmd.Stderr = &messages
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = files.Unpack(ctx, out)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	return errors.Join(err, failed(cmd.Wait(), messages.String()))
}

func failed(err error, messages string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dpkg-deb: %w: %s", err, strings.TrimSpace(messages))
}
