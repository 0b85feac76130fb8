package generate

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"
)

//go:embed prompt.md
var prompt string

// The prompt says its version and, behind each rule, the reason for it, in
// comments that the model does not see.
var (
	versionComment = regexp.MustCompile(`^<!-- version (\d+)`)
	comment        = regexp.MustCompile(`(?s)\s*<!--.*?-->`)
)

// System is the prompt as models get it: the same bytes for every request, so
// that providers can cache it.
var System = sync.OnceValue(func() string {
	return strings.TrimSpace(comment.ReplaceAllString(prompt, "")) + "\n"
})

// Version is that of the prompt.
func Version() string { return versionComment.FindStringSubmatch(prompt)[1] }
