package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// statBytes is the size of the buffer for reading a stat, in bytes. All these files
// are smaller.
const statBytes = 4096

// stat is an open file of a cgroup that every run reads. It stays open between runs:
// opening takes longer than reading, and cgroup v2 resets the peak only for the open
// file. If the kernel lacks the file, read returns "".
type stat struct{ file *os.File }

// openStat opens the file for reading, and for writing if permitted.
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

// read returns the content of the file.
func (s stat) read() string {
	var b [statBytes]byte
	n, _ := s.file.ReadAt(b[:], 0)
	return string(b[:n])
}

// int returns the content of the file as a number.
func (s stat) int() int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s.read()), 10, 64)
	return n
}

// key returns the value of the key in a file of "key value" lines.
func (s stat) key(key string) int64 {
	for line := range strings.Lines(s.read()) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// reset resets the kernel's counter, if the kernel supports it.
func (s stat) reset() { _, _ = s.file.WriteAt([]byte("0"), 0) }

func (s stat) close() { _ = s.file.Close() }

// stats holds the open files of a group. They stay open until Remove.
type stats struct{ memory, peak, cpu, events stat }

func (s stats) close() {
	for _, file := range []stat{s.memory, s.peak, s.cpu, s.events} {
		file.close()
	}
}
