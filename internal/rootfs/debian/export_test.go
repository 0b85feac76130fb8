package debian

import "github.com/pyth-on/pyth-on/internal/rootfs/tree"

// Settle is settle, after skeleton.
func Settle(t *tree.Tree) error {
	if err := skeleton(t); err != nil {
		return err
	}
	return settle(t)
}
