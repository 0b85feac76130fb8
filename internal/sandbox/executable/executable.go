// Package executable embeds the executable of sandboxes and unpacks it. The
// executable runs gVisor; its code is in internal/sandbox/kernel.
package executable

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

//go:embed all:bin
var binaries embed.FS

// Unpack returns the path of the executable in dir. If dir does not contain the
// executable, Unpack writes it. Several processes may unpack into the same directory.
// Unpack keeps the executables of other releases, because they may be in use (see
// RemoveOthers).
//
// If the host does not allow the execution of files in dir, Unpack fails and the
// error says what to do.
func Unpack(ctx context.Context, dir string) (string, error) {
	e, err := embedded()
	if err != nil {
		return "", err
	}
	path, err := e.unpack(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("unpack the executable of sandboxes: %w", err)
	}
	return path, checkExecution(path)
}

// SizeBytes returns the size of the executable.
func SizeBytes() int64 {
	e, err := embedded()
	if err != nil {
		return 0 // Unpack returns the error.
	}
	return e.size
}

type executable struct {
	// name is the name of the unpacked file.
	name    string
	content io.ReaderAt
	size    int64
}

// The function "embedded" returns the embedded executable. The name of the unpacked file
// contains a hash of the build ID. Go makes the build ID from the content of the
// executable. To hash the whole content here would take tens of milliseconds, and the
// server would then keep the whole content in memory.
func embedded() (*executable, error) {
	f, err := binaries.Open("bin/pyth-on-sandbox")
	if err != nil {
		return nil, errors.New("this binary was built without the executable of sandboxes; build it with `make build`")
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	content, ok := f.(io.ReaderAt)
	if !ok {
		return nil, errors.New("the embedded executable of sandboxes cannot be read")
	}
	id, err := buildID(content)
	if err != nil {
		return nil, fmt.Errorf("read the embedded executable of sandboxes: %w", err)
	}
	sum := sha256.Sum256(id)
	return &executable{name: prefix + hex.EncodeToString(sum[:hashBytes]), content: content, size: info.Size()}, nil
}

// buildID returns the section with the build ID of a Go executable.
func buildID(content io.ReaderAt) ([]byte, error) {
	f, err := elf.NewFile(content)
	if err != nil {
		return nil, err
	}
	section := f.Section(".note.go.buildid")
	if section == nil {
		return nil, errors.New("it has no build ID; build it with `make build`")
	}
	return section.Data()
}

// checkExecution returns an error if the host does not allow the execution of the
// file.
func checkExecution(path string) error {
	err := unix.Access(path, unix.X_OK)
	if err == nil {
		return nil
	}
	var file unix.Statfs_t
	if unix.Statfs(path, &file) == nil && file.Flags&unix.ST_NOEXEC != 0 {
		return fmt.Errorf("sandboxes cannot start: %s cannot be executed, because its file system is mounted with noexec; "+
			"mount it without noexec, or choose another directory", path)
	}
	return fmt.Errorf("sandboxes cannot start: %s cannot be executed (%w); allow the execution of this file, or choose another directory", path, err)
}
