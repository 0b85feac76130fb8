package node

import (
	"context"
	"debug/elf"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pyth-on/pyth-on/internal/host/process"
)

// minMajor is the lowest major version of Node that can run the hook. The hook is
// Pyth-On's code in the interpreter, which waits for jobs.
const minMajor = 24

// Custom checks the operator's Node binary at path. It returns an error if the
// binary cannot run in a sandbox.
func Custom(ctx context.Context, path string) (*Binary, error) { return custom(ctx, path, []string{}) }

// The function "custom" implements Custom. To get the version of the binary, it runs the
// binary with the environment variables in "environ".
func custom(ctx context.Context, path string, environ []string) (*Binary, error) {
	// The image gets a copy of only the binary file. So resolve links, and refuse scripts
	// that start another program.
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("nodejs: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("nodejs: %s is not an ELF program; wrappers do not work in sandboxes: %w", path, err)
	}
	machine := f.Machine
	if err := f.Close(); err != nil {
		return nil, err
	}
	if machine != elf.EM_X86_64 {
		return nil, fmt.Errorf("nodejs: %s is not for x86-64", path)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = environ
	output, err := process.Output(cmd)
	if err != nil {
		return nil, fmt.Errorf("nodejs: %s is not Node: run it with --version: %w", path, err)
	}
	version, ok := strings.CutPrefix(trimmed(output), "v")
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); !ok || err != nil {
		return nil, fmt.Errorf("nodejs: %s is not Node: its version is %q", path, trimmed(output))
	} else if n < minMajor {
		return nil, fmt.Errorf("nodejs: %s is Node %s; %d or later is needed", path, version, minMajor)
	}
	return &Binary{Path: path, Version: version}, nil
}
