package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
)

// nodeInImage is the path of Node in the image.
const nodeInImage = "usr/local/bin/node"

// nodeIdentity returns a string that identifies the content of the Node binary at path.
// It is "" if path is "". A forged string is no risk, because the operator chooses the
// file and the server trusts the operator.
func nodeIdentity(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("rootfs: Node: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("rootfs: Node: %s is not a regular file", path)
	}
	sum, err := checksum(path)
	if err != nil {
		return "", fmt.Errorf("rootfs: Node: %w", err)
	}
	return fmt.Sprintf(" node %d %08x", info.Size(), sum), nil
}

// addLibraries adds the libraries of a program to the plan.
func (h host) addLibraries(p plan, program string) error {
	f, err := os.Open(program)
	if err != nil {
		return err
	}
	defer f.Close()
	needs, err := readNeeds(f)
	if err != nil {
		return fmt.Errorf("rootfs: %s is not a program for this machine: %w", program, err)
	}
	c := &collector{host: h, plan: p}
	for _, name := range needs.libraries {
		if err := c.library(name, needs.searched(filepath.Dir(program))); err != nil {
			return fmt.Errorf("rootfs: %s needs a library that this machine does not have: %w", program, err)
		}
	}
	return nil
}
