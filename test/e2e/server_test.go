package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/api/openapitest"
)

// binary is the path of the tested program, in a directory that all users can read.
// imageDir is the directory with the images of sandboxes. The data directories of tests
// contain links to these images, so each image is built only once. TestMain sets both
// variables.
var binary, imageDir string

// builtInImages contains the images that are in imageDir before tests add custom
// images.
var builtInImages []string

func TestMain(m *testing.M) {
	built := os.Getenv("PYTH_ON")
	if built == "" {
		built, _ = filepath.Abs("../../bin/pyth-on")
	}
	if _, err := os.Stat(built); err != nil {
		fmt.Fprintf(os.Stderr, "%v: build it with `make build`\n", err)
		os.Exit(1)
	}
	closeDescriptorsOnExec()
	// A shell can start background commands with SIGINT and SIGQUIT ignored. Child
	// processes inherit this, and then servers would ignore the signals. A signal
	// handler is not inherited. So install a handler for the two signals.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGQUIT)
	go func() {
		<-interrupted
		os.Exit(130)
	}()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "pyth-on-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		// Some tests start servers as an ordinary user. This user must be able to read
		// the directory.
		_ = os.Chmod(dir, 0o755)
		binary = filepath.Join(dir, "bin", "pyth-on")
		if err := copyProgram(built, binary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		imageDir = filepath.Join(dir, "cache")
		// This run also downloads Node, unless the environment variable PYTH_ON_NODE
		// contains the path of a Node binary.
		warm := exec.Command(binary, "run", "--cache-dir", imageDir, "--language", "javascript", "-")
		warm.Stdin = strings.NewReader("console.log('ready')")
		if out, err := warm.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("ready")) {
			fmt.Fprintf(os.Stderr, "the first run failed: %v: %s\n", err, out)
			return 1
		}
		if builtInImages, err = filepath.Glob(filepath.Join(imageDir, "rootfs-*.erofs")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if err := errors.Join(stopSharedServers(), stopCluster()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

func copyProgram(from, to string) error {
	if err := os.Mkdir(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// closeDescriptorsOnExec prevents child processes from inheriting file descriptors,
// except the standard streams. Some tests compare the open descriptors of a program on
// the host and in the sandbox.
func closeDescriptorsOnExec() {
	descriptors, _ := os.ReadDir("/proc/self/fd")
	for _, d := range descriptors {
		if fd, err := strconv.Atoi(d.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

type server struct {
	URL     string
	data    string
	cmd     *exec.Cmd
	env     []string // in addition to the environment of the tests
	log     *logBuffer
	http    *http.Client
	metrics string
	exited  chan struct{}
	started time.Time
	// program is the path of the binary. If it is "", the server uses the tested
	// program.
	program string
	// worker is the only worker of the server. It is nil if the server has no worker.
	// With a worker, the metrics of the worker describe the pool of sandboxes.
	worker *server
}

// logBuffer stores the log of a server. It also sends each log line to the channel
// "lines". waitUntilServing reads the addresses of the server from these lines.
type logBuffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	lines chan string
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) copyFrom(r io.Reader) {
	defer close(l.lines)
	for s := bufio.NewScanner(r); s.Scan(); {
		l.mu.Lock()
		l.b.WriteString(s.Text() + "\n")
		l.mu.Unlock()
		select {
		case l.lines <- s.Text():
		default: // No goroutine waits for this line any more.
		}
	}
}

func newDataDir(t testing.TB) string {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := linkImages(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// linkImages fills a data directory with hard links to the images in imageDir. It also
// links the other files that a server creates at its first start.
func linkImages(dir string) error {
	images, err := filepath.Glob(filepath.Join(imageDir, "rootfs*"))
	if err != nil || len(images) == 0 {
		return fmt.Errorf("no image in %s: %w", imageDir, err)
	}
	node, err := filepath.Glob(filepath.Join(imageDir, "node-*"))
	if err != nil {
		return err
	}
	executables, err := filepath.Glob(filepath.Join(imageDir, "sandbox-*"))
	if err != nil {
		return err
	}
	for _, image := range slices.Concat(images, node, executables) {
		if err := os.Link(image, filepath.Join(dir, filepath.Base(image))); err != nil {
			return err
		}
	}
	return nil
}

var urlField = regexp.MustCompile(`url"?[=:]"?(http://[^\s"]+)`)

// startServer starts a server in a new data directory and waits until the server
// accepts requests.
func startServer(t testing.TB, flags ...string) *server {
	return startServerIn(t, newDataDir(t), nil, flags...)
}

func startServerIn(t testing.TB, data string, attr *syscall.SysProcAttr, flags ...string) *server {
	t.Helper()
	if usesPostgres(t) {
		if _, err := databases.assign(data); err != nil {
			t.Fatal(err)
		}
	}
	flags, worker := addWorker(t, data, attr, append(npmRegistry(), flags...))
	s, err := launch(data, attr, flags...)
	if err != nil {
		t.Fatal(err)
	}
	s.worker = worker
	t.Cleanup(func() { s.stop(t) })
	return s
}

// noStock contains flags with which a server boots no warm sandboxes. Each boot takes
// seconds of processor time, and most tests need few sandboxes.
var noStock = []string{"--warm=0", "--warm-node=0"}

// defaultStock contains flags that set the default numbers of warm sandboxes.
var defaultStock = []string{"--warm=2", "--warm-node=1"}

// npmRegistry returns the server flag for the registry in npm's configuration, or no
// flag if the configuration has no registry. Without the flag, a server runs npm when
// it starts, which takes time. Only the shared server starts without this flag.
var npmRegistry = sync.OnceValue(func() []string {
	out, err := exec.Command("npm", "config", "get", "registry").Output()
	if url := strings.TrimSpace(string(out)); err == nil && strings.HasPrefix(url, "http") {
		return []string{"--npm-registry=" + url}
	}
	return nil
})

// launch starts a server in the data directory and waits until the server accepts
// requests. It adds noStock before the given flags, so the given flags have priority.
func launch(data string, attr *syscall.SysProcAttr, flags ...string) (*server, error) {
	s := newServer(data)
	args := []string{"serve", "--addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--rate-limit=off", "--log-level=debug", "--data-dir=" + data}
	args = append(args, noStock...)
	if err := s.begin(attr, append(args, flags...)...); err != nil {
		return nil, err
	}
	if err := s.waitUntilServing(); err != nil {
		_ = s.cmd.Process.Kill()
		return nil, err
	}
	s.findCgroupParents()
	return s, nil
}

func newServer(data string) *server {
	return &server{started: time.Now(), data: data, log: &logBuffer{lines: make(chan string, 1000)}, exited: make(chan struct{})}
}

// begin starts the process of the server and collects its log.
func (s *server) begin(attr *syscall.SysProcAttr, args ...string) error {
	s.cmd = exec.Command(cmp.Or(s.program, binary), args...)
	s.cmd.Env = append(databases.environ(s.data), "CANARY_OF_THE_HOST=must-not-be-seen")
	s.cmd.Env = append(s.cmd.Env, s.env...)
	s.cmd.SysProcAttr = attr
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	followed := make(chan struct{})
	go func() {
		s.log.copyFrom(stderr)
		close(followed)
	}()
	go func() {
		<-followed
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	return nil
}

// waitUntilServing waits until the log of the server contains the addresses of the
// server. Then it creates the HTTP client.
func (s *server) waitUntilServing() error {
	deadline := time.After(patience)
	for s.URL == "" || s.metrics == "" {
		select {
		case line, ok := <-s.log.lines:
			url := urlField.FindStringSubmatch(line)
			switch {
			case !ok:
				return fmt.Errorf("the server ended: %s", s.log)
			case strings.Contains(line, `msg="serving metrics"`), strings.Contains(line, `"msg":"serving metrics"`):
				s.metrics = url[1]
			case strings.Contains(line, "msg=serving"), strings.Contains(line, `"msg":"serving"`):
				s.URL = url[1]
			}
		case <-deadline:
			return fmt.Errorf("the server does not serve: %s", s.log)
		}
	}
	document, err := http.Get(s.URL + "/openapi.json")
	if err != nil {
		return err
	}
	defer document.Body.Close()
	text, err := io.ReadAll(document.Body)
	if err != nil {
		return err
	}
	validator, err := validatorFor(text)
	if err != nil {
		return err
	}
	// For a request with the header Expect, the client sends the body only after the
	// server allows it. The timeout is long, because a server on a busy machine can be
	// slow to answer.
	base := &http.Transport{MaxIdleConnsPerHost: 64, ExpectContinueTimeout: time.Minute}
	s.http = &http.Client{Transport: &openapitest.Transport{Validator: validator, Base: base}}
	return nil
}

// maxValidators is the maximum number of validators for one OpenAPI document. A
// validator can check only one response at a time, so parallel tests need several
// validators.
const maxValidators = 3

// validators caches the validators for each OpenAPI document.
var validators struct {
	mu         sync.Mutex
	ofDocument map[string][]*openapitest.Validator
	served     int
}

// validatorFor returns a validator for the OpenAPI document. It creates at most
// maxValidators validators for a document and returns them in turn.
func validatorFor(document []byte) (*openapitest.Validator, error) {
	validators.mu.Lock()
	defer validators.mu.Unlock()
	made := validators.ofDocument[string(document)]
	if validators.served++; len(made) == maxValidators {
		return made[validators.served%maxValidators], nil
	}
	v, err := openapitest.New(document)
	if err != nil {
		return nil, err
	}
	if validators.ofDocument == nil {
		validators.ofDocument = map[string][]*openapitest.Validator{}
	}
	validators.ofDocument[string(document)] = append(made, v)
	return v, nil
}

func (s *server) stop(t testing.TB) {
	t.Helper()
	select {
	case <-s.exited:
		return
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.requireCleanExit(t)
}

// requireCleanExit waits until the server has exited. Afterwards, no process and no
// cgroup of the server may remain.
func (s *server) requireCleanExit(t testing.TB) {
	t.Helper()
	if err := s.waitForCleanExit(); err != nil {
		t.Error(err)
	}
}

// waitForCleanExit waits until the server has exited. If processes or cgroups of the
// server remain, it returns an error that lists them.
func (s *server) waitForCleanExit() error {
	var errs []error
	select {
	case <-s.exited:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			errs = append(errs, fmt.Errorf("the server exited with %d: %s", code, s.log))
		}
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		errs = append(errs, fmt.Errorf("the server did not stop: %s", s.log))
	}
	for _, pid := range processesMentioning(s.data) {
		errs = append(errs, fmt.Errorf("process %d still runs", pid))
	}
	for _, group := range s.ownCgroups() {
		errs = append(errs, fmt.Errorf("cgroup %s still exists", group))
	}
	return errors.Join(errs...)
}

// The method "kill" kills the server, and its worker if it has one.
func (s *server) kill(t testing.TB) {
	t.Helper()
	if s.worker != nil {
		s.worker.kill(t)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exited
}

// The function "must" checks the results of a call: a value v and an error. It returns
// a function that returns v. If the error is not nil, this function fails the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// patience is the maximum time that a test waits for a condition. It is long, because
// other programs can use all processors.
const patience = 5 * time.Minute

// eventually calls the function "ok" repeatedly until the function returns true. If
// this takes longer than "patience", the test fails. The parameter "what" describes the
// condition for the error message.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; !ok(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out after %v: %s", patience, what)
		}
		time.Sleep(pause)
	}
}
