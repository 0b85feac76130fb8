package rootfs

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// ldconfig adds a script that prints a list of the image's shared libraries, in the
// format of `ldconfig -p`. Python's ctypes.util.find_library needs this script. The image
// is read-only, so the list stays correct.
func ldconfig(p plan) {
	var lines []string
	for _, at := range slices.Sorted(maps.Keys(p)) {
		dir, name := path.Split(at)
		if !p[at].Mode.IsRegular() || !strings.Contains(name, ".so") || dir != "usr/lib/x86_64-linux-gnu/" && dir != "usr/lib64/" && dir != "usr/lib/" {
			continue
		}
		lines = append(lines, fmt.Sprintf("\t%s (libc6,x86-64) => /%s", name, at))
	}
	script := fmt.Sprintf(`#!/bin/sh
if [ "$*" != -p ] && [ "$*" != --print-cache ]; then
	echo "ldconfig: the libraries of a sandbox cannot be changed; use -p to list them" >&2
	exit 1
fi
while IFS= read -r line; do
	printf '%%s\n' "$line"
done <<'END'
%d libs found in cache `+"`/etc/ld.so.cache'"+`
%s
END
`, len(lines), strings.Join(lines, "\n"))
	p.file("usr/sbin/ldconfig", 0o755, []byte(script))
}
