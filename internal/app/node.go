package app

import (
	"context"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
)

// noNodeError reports that there is no Node, and what to do about it. Python
// programs work without it.
type noNodeError struct {
	Err error
	Fix string
}

func (e *noNodeError) Error() string { return "there is no Node: " + e.Err.Error() + "; " + e.Fix }

func (e *noNodeError) Unwrap() error { return e.Err }

var errNodeOff = errors.New("turned off by --node=off")

// find returns the Node for sandboxes and fetches it to dir if necessary. The
// error is a noNodeError if there is none, and another one if the given binary
// does not work.
func (c NodeConfig) find(ctx context.Context, dir string, progress func(string, int, int)) (*node.Binary, error) {
	switch c.Node {
	case "":
	case "off":
		return nil, &noNodeError{Err: errNodeOff, Fix: "leave --node=off out"}
	default:
		return node.Custom(ctx, c.Node)
	}
	b, err := node.Fetch(ctx, node.Options{Dir: dir, Registry: c.NPMRegistry, Progress: progress})
	if err == nil || ctx.Err() != nil {
		return b, errors.Join(err, ctx.Err())
	}
	return nil, &noNodeError{Err: err, Fix: "choose a reachable npm registry with --npm-registry, or a Node binary with --node"}
}

// findFor returns the Node for a program in the language. For Python it returns
// an available one, so that all programs share an image, but fetches none.
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

// pathOf returns the path of the binary, or "".
func pathOf(b *node.Binary) string {
	if b == nil {
		return ""
	}
	return b.Path
}

// versionOf returns the version of the binary, for the log.
func versionOf(b *node.Binary) string {
	if b == nil {
		return "none"
	}
	return b.Version
}
