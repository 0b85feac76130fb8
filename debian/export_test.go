package debian

import "github.com/pyth-on/pyth-on/rootfs/files"

// Settle is settle, after skeleton.
func Settle(t *files.Tree) error {
	if err := skeleton(t); err != nil {
		return err
	}
	return settle(t)
}
