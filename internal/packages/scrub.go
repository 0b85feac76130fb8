package packages

import (
	"regexp"
	"strings"
)

// Parts of what pip and npm print that tell of this server rather than of the
// packages.
var (
	// indexURL is an address on the gateway, which stands for the index.
	indexURL = regexp.MustCompile(`\b[a-z+]+://(?:[^\s/@]*@)?` + regexp.QuoteMeta(gatewayHost) + `(?::\d+)?(/[^\s'"<>()]*)?`)
	// otherURL is an address of another host, such as a proxy.
	otherURL = regexp.MustCompile(`\b(?:https?|git\+[a-z]+|socks5h?)://[^\s'"<>()]+`)
	address  = regexp.MustCompile(`\b(?:` + regexp.QuoteMeta(gatewayHost) + `|localhost|127\.\d+\.\d+\.\d+|10\.\d+\.\d+\.\d+)(?::\d+)?`)
	// directory is a path in the sandbox.
	directory = regexp.MustCompile(`(^|[\s'"(=:])(?:/(?:home|opt|work|root|tmp|usr|var|etc|node_modules|pyth-on|run|proc|dev)(?:/[^\s'"():,]*)?)`)
	// aside are lines that tell of nothing else.
	aside = regexp.MustCompile(`^(?:Looking in indexes:|npm error A complete log of this run|npm error (?:path|cwd|Log files)\b|WARNING: (?:The directory|Location) )`)
)

// scrub takes what tells of this server out of a line of a resolver: the
// gateway's name, addresses and directories. Names of packages and the
// resolver's words stay. It returns "" for a line that has nothing else.
func scrub(line string) string {
	if aside.MatchString(line) {
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
