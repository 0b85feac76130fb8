package cgroup

import (
	"os"
	"strconv"
	"strings"
	"sync"
)

// statBytes is more than the kernel shows of any of these files.
const statBytes = 4096

// stat is a file that every run reads. It stays open, since to open it takes
// longer than to read it, and since cgroup v2 resets the peak for the readings of
// one open file only.
type stat struct {
	path string
	mu   sync.Mutex
	file *os.File
}

// open opens the file, for writing as well if that can be. The caller holds mu.
func (s *stat) open() error {
	if s.file != nil {
		return nil
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if os.IsPermission(err) {
		f, err = os.Open(s.path)
	}
	if err == nil {
		s.file = f
	}
	return err
}

// read returns what the file shows, "" if there is none.
func (s *stat) read() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open() != nil {
		return ""
	}
	var b [statBytes]byte
	n, _ := s.file.ReadAt(b[:], 0)
	return string(b[:n])
}

// int is the number that the file shows.
func (s *stat) int() int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s.read()), 10, 64)
	return n
}

// key is one value of a file of "key value" lines.
func (s *stat) key(key string) int64 {
	for line := range strings.Lines(s.read()) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// reset has the file count anew, where it can.
func (s *stat) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open() == nil {
		_, _ = s.file.WriteAt([]byte("0"), 0)
	}
}

// prepare opens the file, so that no run has to. One that the kernel lacks is
// looked for again when it is read.
func (s *stat) prepare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.open()
}

// close closes the file, which is gone by now.
func (s *stat) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// stats are those of a group.
type stats struct{ memory, peak, cpu, events stat }

func (s *stats) all() []*stat { return []*stat{&s.memory, &s.peak, &s.cpu, &s.events} }

func (s *stats) prepare() {
	for _, one := range s.all() {
		one.prepare()
	}
}

func (s *stats) close() {
	for _, one := range s.all() {
		one.close()
	}
}
