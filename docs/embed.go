// Package docs embeds the documentation of Pyth-On.
//
// This package is outside internal, because go:embed reads only files below its
// package.
package docs

import (
	"embed"
	"io/fs"
)

//go:embed *.md zero-knowledge-vectors.json decisions/*.md
var files embed.FS

// Files returns the Markdown pages of the documentation and the files that they link
// to.
func Files() fs.FS { return files }
