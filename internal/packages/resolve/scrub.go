package resolve

import (
	"regexp"
	"strings"

	"github.com/pyth-on/pyth-on/internal/packages/gateway"
)

// Patterns for parts of the output of pip and npm. The user must not see these parts, or
// does not need them.
var (
	// indexURL matches a URL of the gateway.
	indexURL = regexp.MustCompile(`\b[a-z+]+://(?:[^\s/@]*@)?` + regexp.QuoteMeta(gateway.Host) + `(?::\d+)?(/[^\s'"<>()]*)?`)
	// otherURL matches a URL of another host, such as a proxy.
	otherURL = regexp.MustCompile(`\b(?:https?|git\+[a-z]+|socks5h?)://[^\s'"<>()]+`)
	address  = regexp.MustCompile(`\b(?:` + regexp.QuoteMeta(gateway.Host) + `|localhost|127\.\d+\.\d+\.\d+|10\.\d+\.\d+\.\d+)(?::\d+)?`)
	// The pattern "directory" matches a path in the sandbox.
	directory = regexp.MustCompile(`(^|[\s'"(=:])(?:/(?:home|opt|work|root|tmp|usr|var|etc|node_modules|pyth-on|run|proc|dev)(?:/[^\s'"():,]*)?)`)
	// The pattern "irrelevant" matches lines that contain no facts about the packages.
	irrelevant = regexp.MustCompile(`^(?:Looking in indexes:|npm error A complete log of this run|npm error (?:path|cwd|Log files)\b|WARNING: (?:The directory|Location) )`)
)

// scrub replaces URLs, addresses and directories in an output line of a resolver. It
// keeps the names of packages. It returns "" for a line that contains no facts about the
// packages.
func scrub(line string) string {
	if irrelevant.MatchString(line) {
		return ""
	}
	line = indexURL.ReplaceAllStringFunc(line, func(url string) string {
		_, path, _ := strings.Cut(strings.SplitN(url, "://", 2)[1], "/")
		path = strings.Trim(strings.TrimPrefix(path, "simple/"), "/")
		if path == "" {
			return "the index"
		}
		return path + " of the index"
	})
	line = otherURL.ReplaceAllString(line, "an address")
	line = address.ReplaceAllString(line, "the index")
	return directory.ReplaceAllString(line, "${1}a file")
}
