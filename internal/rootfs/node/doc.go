// Package node provides the Node binary for sandboxes. The binary belongs to the
// operator, or it is a pinned release, downloaded once from an npm registry.
//
// A release from any registry must match the hash in this package. A file gets its
// final name only when it is complete, so a failed download leaves no unusable
// binary.
package node
