// Package docs embeds the documentation of Pyth-On.
//
// This package is outside the folder internal, because go:embed can only embed files
// below the folder of the package.
package docs

import (
	"embed"
	"io/fs"
)

//go:embed *.md zero-knowledge-vectors.json decisions/*.md integrations/*.md
var files embed.FS

// Files returns the Markdown pages of the documentation, and the files to which these
// pages link.
func Files() fs.FS { return files }
