// Package node provides the Node binary for sandboxes: a binary of the operator,
// or a pinned release, which it downloads once from an npm registry.
//
// A downloaded release has the hash in this package, whatever registry it came
// from. A file with its final name is complete. A download that fails or is
// interrupted leaves no such file.
package node
