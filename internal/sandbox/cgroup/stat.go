package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// statBytes is the size in bytes of the buffer for reading a cgroup file. The files are
// always smaller than the buffer.
const statBytes = 4096

// stat is an open cgroup file that is read in every run. It stays open, because opening
// takes longer than reading. In cgroup v2, a reset of the memory peak is visible only
// through the descriptor that made the reset. If the kernel lacks the file, the method
// "read" of stat returns "".
type stat struct{ file *os.File }

// openStat opens the file for reading, and also for writing if that is permitted.
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

func (s stat) read() string {
	var b [statBytes]byte
	n, _ := s.file.ReadAt(b[:], 0)
	return string(b[:n])
}

func (s stat) int() int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s.read()), 10, 64)
	return n
}

// key returns the number after the key, in a file with one key and number per
// line.
func (s stat) key(key string) int64 {
	for line := range strings.Lines(s.read()) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// reset sets the kernel's counter to 0, if the kernel supports that.
func (s stat) reset() { _, _ = s.file.WriteAt([]byte("0"), 0) }

func (s stat) close() { _ = s.file.Close() }

// stats holds the open files of a group. They stay open until Remove.
type stats struct{ memory, peak, cpu, events stat }

func (s stats) close() {
	for _, file := range []stat{s.memory, s.peak, s.cpu, s.events} {
		file.close()
	}
}
