// Command dist makes the files of a release from the binary that `make build` has
// built. These files are a tar file, a Debian package, a container image, a Helm chart,
// a list of components (SBOM) and checksums.
//
// From the same commit and the same Debian packages, the command always makes the same
// bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "dist: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("dist", flag.ExitOnError)
	repository := flags.String("repository", "../..", "directory of the repository")
	out := flags.String("out", "../../dist", "directory for the files; its earlier files are removed")
	describe := flags.String("describe", "", "output of git describe")
	suite := flags.String("suite", "trixie", "Debian release for the container image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := newRelease(*repository, *describe)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(*out); err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	base := filepath.Join(*out, ".base.tar")
	for _, s := range []struct {
		name string
		make func(to string) error
	}{
		{"pyth-on_" + r.Version + "_linux_amd64.tar.gz", r.writeArchive},
		{"pyth-on_" + r.Version + "_amd64.deb", r.writeDeb},
		{"pyth-on-" + r.Version + ".tgz", r.writeChart},
		{"pyth-on_" + r.Version + ".cdx.json", r.writeComponents},
		{"pyth-on_" + r.Version + "_amd64.oci.tar", func(to string) error {
			if err := r.buildBase(base, *suite); err != nil {
				return err
			}
			return errors.Join(r.writeImage(base, to), os.Remove(base))
		}},
		{"SHA256SUMS", func(to string) error { return writeChecksums(*out, to) }},
	} {
		started := time.Now()
		say("==> Writing %s", s.name)
		path := filepath.Join(*out, s.name)
		if err := s.make(path); err != nil {
			return fmt.Errorf("write %s: %w", s.name, errors.Join(err, os.Remove(path)))
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		say("    %.1f MB in %.1f s", float64(info.Size())/1e6, time.Since(started).Seconds())
	}
	return nil
}

// The function "say" prints a line about the progress of the command.
func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }

// release contains the data that all files of a release need.
type release struct {
	// Version is a semantic version that is also a valid version of a Debian package.
	Version string
	// Commit is the hash of the commit. Time is the time of the commit, and all files
	// in the release get this modification time.
	Commit string
	Time   time.Time
	// Repository is the path of the repository.
	Repository string
}

func newRelease(repository, describe string) (*release, error) {
	out, err := exec.Command("git", "-C", repository, "log", "-1", "--format=%H %ct").Output() //nolint:noctx // A short command without a network.
	if err != nil {
		return nil, fmt.Errorf("read the commit: %w", err)
	}
	commit, seconds, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read the time of the commit: %w", err)
	}
	r := &release{Commit: commit, Time: time.Unix(at, 0).UTC(), Repository: repository}
	r.Version = version(describe, r.Commit, r.Time)
	return r, nil
}

func (r *release) path(name string) string { return filepath.Join(r.Repository, name) }

func (r *release) binary() string { return r.path("bin/pyth-on") }
