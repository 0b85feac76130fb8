package main

import (
	"context"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
)

// nodeFlags say where Node comes from.
type nodeFlags struct {
	Node        string `placeholder:"PATH" help:"A Node binary of one's own, version 24 or later, for JavaScript and TypeScript; off for none (default: one is fetched from an npm registry, once)."`
	NPMRegistry string `name:"npm-registry" placeholder:"URL" help:"The npm registry that Node and users' packages are fetched from (default: the one that npm is set up with)."`
}

// noNode is why there is no Node, and what to do about it. All else works
// without.
type noNode struct {
	Err error
	Fix string
}

func (e *noNode) Error() string { return "there is no Node: " + e.Err.Error() + "; " + e.Fix }

func (e *noNode) Unwrap() error { return e.Err }

var errNodeOff = errors.New("it is turned off")

// node returns the Node for sandboxes, which it fetches to dir if need be. The
// error is a noNode if none can be had; a binary that was given but will not
// do is another.
func (f nodeFlags) node(ctx context.Context, dir string, progress func(string, int, int)) (*node.Binary, error) {
	switch f.Node {
	case "":
	case "off":
		return nil, &noNode{Err: errNodeOff, Fix: "leave out --node=off"}
	default:
		return node.Custom(ctx, f.Node)
	}
	b, err := node.Fetch(ctx, node.Options{Dir: dir, Registry: f.NPMRegistry, Progress: progress})
	if err == nil || ctx.Err() != nil {
		return b, errors.Join(err, ctx.Err())
	}
	return nil, &noNode{Err: err, Fix: "name an npm registry that can be reached with --npm-registry, or a Node binary with --node"}
}

// nodeFor is node for a program of the language: Python's has it if it is
// there, so that all programs share an image, but does not fetch it.
func (f nodeFlags) nodeFor(ctx context.Context, language pyth.Language, dir string, progress func(string, int, int)) (*node.Binary, error) {
	if f.Node == "" && language.Runtime() != pyth.NodeRuntime {
		return node.Find(node.Options{Dir: dir})
	}
	b, err := f.node(ctx, dir, progress)
	if _, ok := errors.AsType[*noNode](err); ok && language.Runtime() != pyth.NodeRuntime {
		return nil, nil
	}
	return b, err
}

// pathOf is the binary's path, "" for none.
func pathOf(b *node.Binary) string {
	if b == nil {
		return ""
	}
	return b.Path
}

// versionOf is the binary's version, for the log.
func versionOf(b *node.Binary) string {
	if b == nil {
		return "none"
	}
	return b.Version
}
