package e2e_test

import (
	"fmt"
	"testing"
)

// TestExecuteSendsOutputFilesWithoutCopies returns files of up to 10 MiB from runs with
// a memory limit of 32 MiB. These runs fail if the sandbox copies a file in memory
// before it sends the file.
func TestExecuteSendsOutputFilesWithoutCopies(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const mib = 1 << 20
	for _, sizes := range [][]int{{10 * mib}, {5 * mib, 5*mib - 1}, {9 * mib, 0, 1, 65536, 65537}} {
		code := ""
		for i, size := range sizes {
			code += fmt.Sprintf("with open('f%d', 'wb') as f:\n    for n in range(0, %d, 65536):\n        f.write(bytes([%d]) * min(65536, %d - n))\n", i, size, i+1, size)
		}
		request := object{"code": code + "None", "outputFiles": []string{"f*"}, "limits": object{"memoryBytes": 32 * mib}}
		session := a.openSession(t, object{"limits": object{"memoryBytes": 32 * mib}})
		for name, x := range map[string]*execution{
			"single":  a.execute(t, request),
			"session": session.runCode(t, code+"None", object{"outputFiles": []string{"f*"}}),
		} {
			x.ends(t, "succeeded")
			for i, size := range sizes {
				got := x.fileContent(t, fmt.Sprintf("f%d", i))
				if len(got) != size || size > 0 && (got[0] != byte(i+1) || got[size-1] != byte(i+1)) {
					t.Errorf("%s: file %d of %v has %d bytes: %s", name, i, sizes, len(got), x)
				}
			}
		}
	}
}
