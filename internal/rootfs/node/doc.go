// Package node provides the Node binary for sandboxes. The binary belongs to the
// operator, or it is a pinned release, downloaded once from an npm registry.
//
// A downloaded release must have the hash in this package, whatever the registry.
// A file gets its final name when it is complete. A failed download leaves no
// such file.
package node
