package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// statBytes is more than the kernel shows of any of these files.
const statBytes = 4096

// stat is a file that every run reads. It stays open, since to open it takes
// longer than to read it, and since cgroup v2 resets the peak for the readings of
// one open file only. One that the kernel lacks has nothing to read.
type stat struct{ file *os.File }

// openStat opens the file, for writing as well if that can be.
func openStat(dir, name string) stat {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if os.IsPermission(err) {
		f, err = os.Open(path)
	}
	if err != nil {
		return stat{}
	}
	return stat{f}
}

// read returns what the file shows.
func (s stat) read() string {
	var b [statBytes]byte
	n, _ := s.file.ReadAt(b[:], 0)
	return string(b[:n])
}

// int is the number that the file shows.
func (s stat) int() int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s.read()), 10, 64)
	return n
}

// key is one value of a file of "key value" lines.
func (s stat) key(key string) int64 {
	for line := range strings.Lines(s.read()) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// reset has the file count anew, where it can.
func (s stat) reset() { _, _ = s.file.WriteAt([]byte("0"), 0) }

func (s stat) close() { _ = s.file.Close() }

// stats are those of a group, open while it exists.
type stats struct{ memory, peak, cpu, events stat }

func (s stats) close() {
	for _, one := range []stat{s.memory, s.peak, s.cpu, s.events} {
		one.close()
	}
}
