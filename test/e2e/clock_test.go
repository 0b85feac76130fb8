package e2e_test

import (
	endian "encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// offsetSource is Go code that the test adds to the package time of the program. The
// program's clock differs from the real clock by a number of seconds. The first eight
// bytes of a file contain this number.
//
// The runtime calls time.Now while it runs timers. There, the program must not make
// system calls. Therefore the code maps the file into memory once.
const offsetSource = `package time

import (
	"syscall"
	"unsafe"
)

var offset = mapOffset()

func mapOffset() *int64 {
	path, ok := syscall.Getenv("CLOCK_OFFSET_FILE")
	if !ok {
		return new(int64)
	}
	fd, err := open(path)
	if err != nil {
		panic("open the offset of the clock: " + err.Error())
	}
	defer closefd(fd)
	b, err := syscall.Mmap(int(fd), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("map the offset of the clock: " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&b[0]))
}

// Offset returns the difference in seconds.
func Offset() int64 {
	if offset == nil { // Other variables of this package are initialized with the time.
		return 0
	}
	return *offset
}
`

// buildWithClock builds a program whose wall clock can jump. It changes the clock of Go
// and the clock of SQLite, but not the monotonic clock.
func buildWithClock(t *testing.T) string {
	t.Helper()
	clock := filepath.Join(goRoot(t), "src/time/time.go")
	return buildOverlay(t, map[string]string{
		clock: changedSource(t, clock, "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {",
			"\tsec, nsec, mono := runtimeNow()\n\tsec += Offset()\n\tif mono == 0 {"),
		filepath.Join(filepath.Dir(clock), "offset.go"): offsetSource,
	}, "-modfile="+modfileWithClock(t))
}

// modfileWithClock returns a copy of go.mod that replaces SQLite's C library by a copy
// with the changed clock. Go does not accept overlays of files in the module cache.
func modfileWithClock(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	original := strings.TrimSpace(string(must(exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "modernc.org/libc").Output())(t)))
	libc := filepath.Join(dir, "libc")
	if err := os.CopyFS(libc, os.DirFS(original)); err != nil {
		t.Fatal(err)
	}
	gettime := "r = int32(X__syscall2(tls, int64(SYS_clock_gettime), int64(clk), int64(ts)))\n"
	source := filepath.Join(libc, "ccgo_linux_amd64.go")
	for path, content := range map[string]string{
		source:                           changedSource(t, source, gettime, gettime+"\tif clk == CLOCK_REALTIME && r == 0 {\n\t\t(*Ttimespec)(unsafe.Pointer(ts)).Ftv_sec += offset()\n\t}\n"),
		filepath.Join(libc, "offset.go"): "package libc\n\nimport \"time\"\n\nfunc offset() int64 { return time.Offset() }\n",
	} {
		// Remove the copied file first, because a copy of a read-only file is read-only.
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	modfile := filepath.Join(dir, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(dir, name), must(os.ReadFile(filepath.Join("..", "..", name)))(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, exec.CommandContext(t.Context(), "go", "mod", "edit", "-replace=modernc.org/libc="+libc, modfile))
	return modfile
}

// TestServeWithClockThatJumps moves the clock of a running server one day ahead, then
// back to the correct time, and then one day into the past. After each jump, users must
// be able to log in, tokens must not be valid too long, and no acknowledged data may be
// lost. The server must recover without help.
func TestServeWithClockThatJumps(t *testing.T) {
	onlyDeep(t, "it compiles the program with a changed standard library; internal packages have short tests of jumps")
	t.Parallel()
	program := buildWithClock(t)
	data, backups := newDataDir(t), filepath.Join(t.TempDir(), "backups")
	const day = 24 * 60 * 60
	offset := must(os.Create(filepath.Join(t.TempDir(), "offset")))(t)
	t.Cleanup(func() { _ = offset.Close() })
	setClock := func(seconds int64) {
		t.Helper()
		if _, err := offset.WriteAt(endian.NativeEndian.AppendUint64(nil, uint64(seconds)), 0); err != nil {
			t.Fatal(err)
		}
	}
	setClock(0)
	start := func() *server {
		t.Helper()
		s := newServer(data)
		s.program, s.env = program, []string{"CLOCK_OFFSET_FILE=" + offset.Name()}
		args := append([]string{
			"serve", "--addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--rate-limit=off", "--data-dir=" + data,
			"--egress-allow-range=127.0.0.1/32", "--backup-dir=" + backups, "--backup-interval=20h",
		}, noStock...)
		if err := s.begin(nil, append(args, npmRegistry()...)...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.stop(t) })
		if err := s.waitUntilServing(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	a := s.register(t)
	receiver := startReceiver(t)
	address := receiver.Listener.Addr().String()
	hook := a.createHook(t, object{"url": receiver.URL})
	a.run(t, "print(1)")
	delivered := map[string]bool{}
	receive := func() {
		t.Helper()
		receiver.ignoresTime = true
		_, run := receiver.receive(t, hook.Secret)
		delivered[run.ID] = true
	}
	// The function "deliver" waits until the receivers have got the events for the ends
	// of all these runs.
	deliver := func(ids []string) {
		t.Helper()
		for slices.ContainsFunc(ids, func(id string) bool { return !delivered[id] }) {
			receive()
		}
	}
	closeReceiver := func() {
		t.Helper()
		receiver.Close()
		for len(receiver.requests) > 0 {
			receive()
		}
	}
	session := a.openSession(t, object{"language": "python", "idleTimeoutMs": 600_000})
	session.runCode(t, "x = 6")
	long := a.enqueue(t, object{"code": sleepForever, "timeoutMs": 300_000})
	eventually(t, "the program runs", func() bool { return a.record(t, long.ID).State == "running" })

	// The function "works" checks the operations that must work at every time of the
	// clock.
	works := func(now string) {
		t.Helper()
		a.run(t, "print(42)").prints(t, "42\n")
		session.runCode(t, "print(x * 7)").prints(t, "42\n")
		var view struct{ ExpiresAt time.Time }
		s.call(t, a, "GET", session.path(""), nil).want(t, 200, &view)
		fresh := a.login(t)
		s.callWithHeader(t, bearerHeader(fresh.Token), "GET", "/api/v1/me", nil).want(t, 200, nil)
		s.refresh(t, fresh.RefreshToken).want(t, 200, nil)
		var verified struct{ ExpiresAt time.Time }
		s.callWithHeader(t, bearerHeader(fresh.Token), "POST", "/api/verify", nil).want(t, 200, &verified)
		// The login token is valid for one hour, and the session for ten minutes.
		if left := verified.ExpiresAt.Sub(view.ExpiresAt); left < 40*time.Minute || left > time.Hour {
			t.Errorf("%s: the token ends %v after the session", now, left)
		}
		if r := a.record(t, long.ID); r.State != "running" {
			t.Errorf("%s: the long run is %+v", now, r)
		}
		q := a.wait(t, a.enqueue(t, object{"code": "print(7)"}).ID)
		if q.Status != "succeeded" || q.Stdout != "7\n" {
			t.Errorf("%s: got %+v", now, q)
		}
	}
	health := func(want string) {
		t.Helper()
		var h struct {
			Checks map[string]struct{ Status, Detail string }
		}
		s.call(t, nil, "GET", "/api/health", nil).want(t, 200, &h)
		if c := h.Checks["clock"]; c.Status != "degraded" || !strings.HasPrefix(c.Detail, want) {
			t.Errorf("got the check %+v, want %s", c, want)
		}
	}
	works("at first")
	before := a.login(t)
	// The server cannot deliver the events of the next runs before the clock is set back.
	closeReceiver()

	setClock(day)
	works("a day ahead")
	health("the clock jumped forward by 24h0m")
	s.callWithHeader(t, bearerHeader(before.Token), "GET", "/api/v1/me", nil).refused(t, 401, "unauthenticated")
	ahead := a.login(t)
	eventually(t, "a second backup exists", func() bool {
		found, _ := filepath.Glob(filepath.Join(backups, "*.tar"))
		return len(found) == 2
	})

	setClock(0)
	receiver = startReceiverAt(t, address)
	works("back again")
	health("the clock jumped back by 24h0m")
	// The server created the access token while its clock was one day ahead. This token
	// must not be valid for a day longer than usual. The refresh token of the same
	// login must stay valid.
	s.callWithHeader(t, bearerHeader(ahead.Token), "GET", "/api/v1/me", nil).refused(t, 401, "unauthenticated")
	s.refresh(t, ahead.RefreshToken).want(t, 200, nil)
	s.callWithHeader(t, bearerHeader(before.Token), "GET", "/api/v1/me", nil).want(t, 200, nil)

	deliver(slices.DeleteFunc(a.recordIDs(t, ""), func(id string) bool { return id == long.ID }))
	closeReceiver()

	setClock(-day)
	works("a day back")
	acknowledged := a.recordIDs(t, "")

	// Kill the server and start it with a clock that is one day behind. The receiver of
	// the webhook works again.
	s.kill(t)
	receiver = startReceiverAt(t, address)
	s = start()
	a.server, session.server = s, s
	if r := a.record(t, long.ID); r.State != "ended" || r.Status != "killed" {
		t.Errorf("the run of the killed server is %s, %v", r.State, r)
	}
	for _, id := range acknowledged {
		s.call(t, a, "GET", "/api/v1/executions/"+id, nil).want(t, 200, nil)
	}
	deliver(acknowledged)
	setClock(0)
	a.run(t, "print(42)").prints(t, "42\n")
	health("the clock jumped forward by 24h0m")
	s.stop(t)
	if out, failed := runAudit(t, data, "verify"); failed || !strings.Contains(out, "intact: ") {
		t.Errorf("the audit log: %s", out)
	}
}
