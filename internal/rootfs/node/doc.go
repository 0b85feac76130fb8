// Package node finds the Node binary that sandboxes get: one of the
// operator's own, or the pinned release, fetched once from an npm registry.
//
// It promises that what was fetched is, bit for bit, the release whose hash is
// in this package, wherever it came from; that a file with its name is whole;
// and that a fetch which fails or is interrupted leaves nothing in its place.
package node
