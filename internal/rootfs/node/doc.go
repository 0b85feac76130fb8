// Package node provides the Node binary for sandboxes. It is either a binary of the
// operator, or a pinned release that is downloaded once from an npm registry.
//
// A downloaded release must match the hash in this package, whatever registry it comes
// from. A file gets its final name only when it is complete, so a failed download does
// not leave an unusable binary.
package node
