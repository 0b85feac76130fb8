package debian

import "github.com/pyth-on/pyth-on/internal/rootfs/tree"

// ApplyPostinst lets tests call addSkeleton and applyPostinst.
func ApplyPostinst(t *tree.Tree) error {
	if err := addSkeleton(t); err != nil {
		return err
	}
	return applyPostinst(t)
}
