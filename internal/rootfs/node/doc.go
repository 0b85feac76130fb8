// Package node provides the Node binary for sandboxes. The operator can provide the
// binary. Otherwise the package downloads a pinned release once from an npm registry.
//
// A downloaded release must match the hash in this package, for every registry. A file
// gets its final name only when it is complete. So a failed download does not leave an
// unusable binary.
package node
