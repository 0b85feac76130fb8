package app

import (
	"context"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
)

// noNodeError means that Node is not available. Err is the cause. Fix says what the
// operator can do. The caller may continue without Node, because Python does not need
// Node.
type noNodeError struct {
	Err error
	Fix string
}

func (e *noNodeError) Error() string { return "Node is not available: " + e.Err.Error() + "; " + e.Fix }

func (e *noNodeError) Unwrap() error { return e.Err }

var errNodeOff = errors.New("disabled by --node=off")

// find returns the Node binary for sandboxes. If necessary, it downloads Node to the
// directory "dir". It returns a noNodeError if Node is disabled or the download fails.
// It returns another error if the configured binary does not work.
func (c NodeConfig) find(ctx context.Context, dir string, progress func(string, int, int)) (*node.Binary, error) {
	switch c.Node {
	case "":
	case "off":
		return nil, &noNodeError{Err: errNodeOff, Fix: "remove --node=off"}
	default:
		return node.Custom(ctx, c.Node)
	}
	b, err := node.Fetch(ctx, node.Options{Dir: dir, Registry: c.NPMRegistry, Progress: progress})
	if err == nil || ctx.Err() != nil {
		return b, errors.Join(err, ctx.Err())
	}
	return nil, &noNodeError{Err: err, Fix: "choose a reachable npm registry with --npm-registry, or a Node binary with --node"}
}

// findFor returns the Node binary for programs in the given language. For Python,
// findFor does not download Node. If Node was downloaded before, findFor returns it
// even for Python, so that all languages share one image. Otherwise it returns nil for
// Python.
func (c NodeConfig) findFor(ctx context.Context, language pyth.Language, dir string, progress func(string, int, int)) (*node.Binary, error) {
	if c.Node == "" && language.Runtime() != pyth.NodeRuntime {
		return node.Find(node.Options{Dir: dir})
	}
	b, err := c.find(ctx, dir, progress)
	if _, ok := errors.AsType[*noNodeError](err); ok && language.Runtime() != pyth.NodeRuntime {
		return nil, nil
	}
	return b, err
}

// pathOf returns the path of the binary. It returns "" if b is nil.
func pathOf(b *node.Binary) string {
	if b == nil {
		return ""
	}
	return b.Path
}
