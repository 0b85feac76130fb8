package e2e_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// defaultSharers is the number of users without -short, and shortSharers is the number
// with -short. The environment variable PACKAGE_USERS overrides both numbers.
const (
	defaultSharers = 8
	shortSharers   = 4
)

// TestPackagesShareFilesBetweenUsers measures the disk space that the packages of many
// users need. The server must store the files of a package only once for all users. The
// package list of each user may need only little space.
func TestPackagesShareFilesBetweenUsers(t *testing.T) {
	t.Parallel()
	users := defaultSharers
	if testing.Short() {
		users = shortSharers
	}
	if s := os.Getenv("PACKAGE_USERS"); s != "" {
		users = must(strconv.Atoi(s))(t)
	}
	const pool, each, size, forList = 40, 20, 500_000, 600_000
	x := newIndex(t)
	names := make([]string, pool)
	for i := range names {
		names[i] = fmt.Sprint("shared", i)
		x.add(t, wheel{Name: names[i], Version: "1", Files: map[string]string{names[i] + ".py": "VALUE = " + strconv.Itoa(i), names[i] + ".bin": randomText(i, size)}})
	}
	s := startServer(t, x.Flag())
	s.register(t).setPackages(t, names...)
	before := diskUsage(t, filepath.Join(s.data, "packages"))
	if before < pool*size {
		t.Fatalf("%d packages take only %d bytes", pool, before)
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for n := next.Add(1); n <= int64(users); n = next.Add(1) {
				a := s.register(t)
				var list []string
				for _, i := range rand.New(rand.NewPCG(uint64(n), 0)).Perm(pool)[:each] {
					list = append(list, names[i])
				}
				a.setPackages(t, list...)
			}
		})
	}
	all.Wait()
	after := diskUsage(t, filepath.Join(s.data, "packages"))
	t.Logf("%d packages take %.1f MB; %d users with %d of them each take %.1f MB more, %.2f MB a user", pool, float64(before)/1e6, users, each, float64(after-before)/1e6, float64(after-before)/1e6/float64(users))
	if after > before+int64(users)*forList {
		t.Error("the lists take too much space")
	}
}

// randomText returns random bytes, because random bytes cannot be compressed.
func randomText(seed, size int) string {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

// diskUsage returns the disk space of the files below dir, in bytes. Hard links to
// the same file count once.
func diskUsage(t *testing.T, dir string) int64 {
	t.Helper()
	var total int64
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if stat := info.Sys().(*syscall.Stat_t); !seen[stat.Ino] {
			seen[stat.Ino] = true
			total += stat.Blocks * 512
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
