package pypi

import (
	"encoding/binary"
	"os"
	"testing"
)

// FuzzReadCompiled reads arbitrary output of a sandbox. The result may contain only
// compiled files that belong to sources of the package.
func FuzzReadCompiled(f *testing.F) {
	part := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	f.Add(part(part(nil, "a.py"), "code"))
	f.Add(part(part(part(part(nil, "a.py"), "code"), "a.py"), "again"))
	f.Add(part(part(nil, "../a.py"), "code"))
	f.Add([]byte{0, 0, 0, 4, 'a', '.', 'p', 'y', 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		spool, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer spool.Close()
		if _, err := spool.Write(b); err != nil {
			t.Fatal(err)
		}
		files, err := readCompiled(spool, map[string]bool{"a.py": true, "d/b.py": true}, "cpython-314", 100)
		if err != nil {
			t.Fatal(err)
		}
		var size int64
		for path, file := range files {
			size += file.Size
			if path != "__pycache__/a.cpython-314.pyc" && path != "d/__pycache__/b.cpython-314.pyc" {
				t.Errorf("unexpected file %q", path)
			}
		}
		if size > 100 {
			t.Errorf("there are %d bytes", size)
		}
	})
}
