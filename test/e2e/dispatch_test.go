package e2e_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pyth-on/pyth-on/internal/cluster/bus/natstest"
)

// dispatchOfTests is the environment variable that selects where programs run. With the
// value "workers", tests that need no flags share a cluster: PostgreSQL, two servers
// and three workers. In the other tests, each server also uses PostgreSQL and has one
// worker.
const dispatchOfTests = "E2E_DISPATCH"

func usesWorkers() bool { return os.Getenv(dispatchOfTests) == "workers" }

// notOnWorkers lists the tests that cannot run with E2E_DISPATCH=workers, and the
// reasons. The list contains the names of top-level tests and of single subtests.
var notOnWorkers = map[string]string{
	"TestAttack104AuditDetectsChangedDatabase":    opensSQLite,
	"TestAttack108ServerRecoversFromFullDisk":     opensSQLite,
	"TestAuditVerifyAndExportWhileServing":        opensSQLite,
	"TestBackupMovesServerToAnotherMachine":       opensSQLite + "; it also restores a backup of PostgreSQL",
	"TestExecuteHidesContentOnDisk":               opensSQLite + "; TestClusterHidesContent is the same test",
	"TestKeysRotateRemovesLeftovers":              opensSQLite,
	"TestKeysRotateUnderLoadAndKills":             opensSQLite,
	"TestKeysVerifyFindsDamagedSecret":            opensSQLite,
	"TestMigrateMovesEverything":                  opensSQLite + "; it also uses PostgreSQL",
	"TestPackagesChangeNeedsAuditEntry":           opensSQLite,
	"TestServeAcceptsExternalRootKeyOnFirstStart": opensSQLite,
	"TestServeContinuesKilledFirstStart":          opensSQLite,
	"TestServeMakesDataDirectoryPrivate":          opensSQLite,
	"TestServeRefusesDatabaseWithoutRootKey":      opensSQLite,
	"TestServeRefusesLostDatabase":                opensSQLite,

	"TestDocumentationCommandsRun/docs/backup.md": opensSQLite + ": the page restores a backup",

	"TestExecuteKeepsQueuedRuns":      endsAtStart + "; TestClusterRunsEachAsyncRunOnce also kills servers",
	"TestExecuteRunsEachAsyncRunOnce": endsAtStart + "; TestClusterRunsEachAsyncRunOnce is the same test",
	"TestExecutionsOfAKilledServer":   endsAtStart,

	"TestServeKilledFirstStartLeavesNothing": startsAlone,
	"TestServeSurvivesClosedLog":             startsAlone,
	"TestUsersCreateWithAndWithoutServer":    startsAlone,
}

// These are reasons why some tests cannot run with workers.
const (
	opensSQLite = "it opens or fills the SQLite database"
	endsAtStart = "it expects that the next start ends the runs of a killed server, but another server could still run them"
	startsAlone = "it starts the server without the settings of the cluster"
)

// skipOnWorkers skips the test if the tests use workers and the test is in the list
// notOnWorkers.
func skipOnWorkers(t testing.TB) {
	t.Helper()
	whole, _, _ := strings.Cut(t.Name(), "/")
	if reason := cmp.Or(notOnWorkers[t.Name()], notOnWorkers[whole]); reason != "" && usesWorkers() {
		t.Skip("not on workers: " + reason)
	}
}

// workerFlag matches flags that both servers and workers have.
var workerFlag = regexp.MustCompile(`^--(warm|max-(running|queued|sandboxes|sessions)|sandbox-|rollback|egress|runtime|preload|node|npm-registry)`)

// workerOf maps the data directory of a server to the last worker of this server.
var workerOf sync.Map

// addWorker starts a worker for a new server if the tests use workers. It returns the
// flags for the server and the worker. The parameters "data" and "attr" are the data
// directory and the process attributes of the server. After a restart of the server,
// the new worker uses the same directory as the old worker.
func addWorker(t testing.TB, data string, attr *syscall.SysProcAttr, flags []string) ([]string, *server) {
	t.Helper()
	if !usesWorkers() || slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--dispatch=") }) {
		return flags, nil
	}
	skipOnWorkers(t)
	w := &workers{nats: natstest.Start(t), token: filepath.Join(t.TempDir(), "token")}
	if err := os.WriteFile(w.token, []byte("joining token of the tests\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if attr != nil && attr.Credential != nil {
		if err := os.Chown(w.token, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	var s *server
	if last, ok := workerOf.Load(data); ok {
		last := last.(*server)
		last.stop(t)
		s = newServer(last.data)
	} else {
		s = newServer(newDataDir(t))
		giveTo(t, attr, s.data)
	}
	workerOf.Store(data, s)
	args := append([]string{"worker", "--nats=" + w.nats.URL, "--join-token-file=" + w.token, "--data-dir=" + s.data, "--metrics-addr=127.0.0.1:0"}, noStock...)
	for _, flag := range flags {
		if workerFlag.MatchString(flag) {
			args = append(args, flag)
		}
	}
	if err := s.begin(attr, args...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	if err := s.waitUntilWorking(); err != nil {
		t.Fatal(err)
	}
	// Remove the flag --max-running-per-user. With this flag, programs would wait in
	// the server, but tests look at the queue of the worker. TestWorkerReloadsSettings
	// tests a server with this flag.
	flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return strings.HasPrefix(f, "--max-running-per-user=") })
	return append(flags, "--dispatch="+w.nats.URL, "--join-token-file="+w.token), s
}

// sharedWorkers is the cluster for tests that need no flags. It stops after the last
// test has ended.
var sharedWorkers struct {
	once      sync.Once
	err       error
	nats      *natstest.Server
	processes []*server // Two servers, and then the workers.
	next      atomic.Int64
}

// workersServer returns one of the two servers of the shared cluster.
func workersServer(t testing.TB) *server {
	t.Helper()
	skipOnWorkers(t)
	w := &sharedWorkers
	w.once.Do(func() { w.err = startSharedWorkers() })
	if w.err != nil {
		t.Fatal(w.err)
	}
	return w.processes[w.next.Add(1)%2]
}

func startSharedWorkers() (err error) {
	w, dir := &sharedWorkers, filepath.Dir(imageDir)
	if w.nats, err = natstest.New(); err != nil {
		return err
	}
	token, key := filepath.Join(dir, "cluster-token"), filepath.Join(dir, "cluster-root.key")
	if err := errors.Join(os.WriteFile(token, []byte("joining token of the tests\n"), 0o600), os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600)); err != nil {
		return err
	}
	newDir := func(name string) (string, error) {
		data := filepath.Join(dir, name)
		if err := os.Mkdir(data, 0o700); err != nil {
			return "", err
		}
		return data, linkImages(data)
	}
	var started []*server
	for i := range 3 {
		data, err := newDir(fmt.Sprint("cluster-worker-", i))
		if err != nil {
			return err
		}
		s := newServer(data)
		if err := s.begin(nil, append([]string{"worker", "--nats=" + w.nats.URL, "--join-token-file=" + token, "--name=" + fmt.Sprint("worker", i), "--data-dir=" + data, "--warm=1", "--warm-node=0"}, npmRegistry()...)...); err != nil {
			return err
		}
		started = append(started, s)
		if err := s.waitUntilWorking(); err != nil {
			return err
		}
	}
	database := ""
	for i := range 2 {
		data, err := newDir(fmt.Sprint("cluster-server-", i))
		if err != nil {
			return err
		}
		if database == "" {
			if database, err = databases.assign(data); err != nil {
				return err
			}
		}
		databases.set(data, database)
		s, err := launch(data, nil, append(npmRegistry(), "--dispatch="+w.nats.URL, "--join-token-file="+token, "--root-key-file="+key)...)
		if err != nil {
			return err
		}
		w.processes = append(w.processes, s)
	}
	w.processes = append(w.processes, started...)
	return nil
}

// stopSharedWorkers stops the shared cluster if it is running.
func stopSharedWorkers() error {
	w := &sharedWorkers
	var errs []error
	for _, s := range w.processes {
		errs = append(errs, s.stopCleanly())
	}
	if w.nats != nil {
		w.nats.Stop()
	}
	return errors.Join(errs...)
}
