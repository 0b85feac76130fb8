package main

import (
	"regexp"
	"strings"
	"time"
)

var described = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)(?:-(\d+)-g([0-9a-f]+))?(-dirty)?$`)

// version converts the output of git describe to a semantic version. The result is
// 1.2.3 for a tag, and 1.2.3+4.gHASH for the fourth commit after a tag. If there is no
// tag, the version contains the date of the commit. Debian and Helm sort these versions
// correctly.
func version(describe, commit string, at time.Time) string {
	if m := described.FindStringSubmatch(describe); m != nil {
		v, metadata := m[1], []string{}
		if m[2] != "" {
			metadata = append(metadata, m[2], "g"+m[3])
		}
		if m[4] != "" {
			metadata = append(metadata, "dirty")
		}
		if len(metadata) > 0 {
			v += "+" + strings.Join(metadata, ".")
		}
		return v
	}
	v := "0.0.0+" + at.Format("20060102150405") + ".g" + commit[:min(len(commit), 8)]
	if strings.HasSuffix(describe, "-dirty") {
		v += ".dirty"
	}
	return v
}
