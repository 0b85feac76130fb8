package rootfs

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestFindIgnoresDamagedImages(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("image"), 1<<20)
	changed := bytes.Clone(content)
	changed[len(changed)/3] ^= 0x10
	whole := &builder{prefix: "rootfs-key-"}
	scratch := filepath.Join(t.TempDir(), "scratch")
	if err := os.WriteFile(scratch, content, 0o600); err != nil {
		t.Fatal(err)
	}
	sum, err := checksum(scratch)
	if err != nil {
		t.Fatal(err)
	}
	name := whole.name(sum)
	for _, c := range []struct {
		title, name string
		content     []byte
		want        bool
	}{
		{"intact image", name, content, true},
		{"truncated image", name, content[:len(content)-1], false},
		{"empty image", name, nil, false},
		{"image with extra bytes", name, append(bytes.Clone(content), 0), false},
		{"image with a changed bit", name, changed, false},
		{"image with another key", "rootfs-other-" + name[len("rootfs-key-"):], content, false},
		{"unfinished image", name + ".new", content, false},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			b := &builder{dir: t.TempDir(), prefix: "rootfs-key-", Options: Options{Logger: slog.New(slog.DiscardHandler)}}
			path := filepath.Join(b.dir, c.name)
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			want := ""
			if c.want {
				want = path
			}
			if got, err := b.find(); got != want || err != nil {
				t.Errorf("found %q, error %v; want %q", got, err, want)
			}
		})
	}
}
