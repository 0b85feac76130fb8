package generate

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"
)

//go:embed prompt.md
var prompt string

// The prompt contains comments with its version and with the reason for each rule. The
// model does not receive these comments.
var (
	versionComment = regexp.MustCompile(`^<!-- version (\d+)`)
	comment        = regexp.MustCompile(`(?s)\s*<!--.*?-->`)
)

// System returns the system prompt without comments. The prompt is the same for every
// request, so that providers can cache it.
var System = sync.OnceValue(func() string {
	return strings.TrimSpace(comment.ReplaceAllString(prompt, "")) + "\n"
})

// Version returns the version of the prompt.
func Version() string { return versionComment.FindStringSubmatch(prompt)[1] }
