// Package postgrestest starts PostgreSQL servers for tests. It uses the programs of
// Debian's package "postgresql".
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Password is the password of the superuser "pyth". Tests check that logs do not contain
// this password.
const Password = "canary:p@ss/word?%"

// The constant "nobody" is the ID of an ordinary user. PostgreSQL refuses to run as
// root.
const nobody = 65534

// Cluster is a PostgreSQL server that listens on a socket in a temporary directory.
type Cluster struct {
	dir       string
	programs  string
	process   *exec.Cmd
	exited    chan struct{}
	databases atomic.Int64
}

// New creates and starts a cluster. The caller closes it.
func New() (*Cluster, error) {
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, programs: programs}
	if err := c.initialize(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.Start(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// findPrograms returns the directory with the programs of the newest installed version
// of PostgreSQL.
func findPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed; run scripts/prerequisites")
	}
	slices.SortFunc(found, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
	return filepath.Dir(found[len(found)-1]), nil
}

func (c *Cluster) initialize() error {
	password := filepath.Join(c.dir, "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o600); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		for _, path := range []string{c.dir, password} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				return err
			}
		}
	}
	// All users of this machine may connect to the socket.
	if err := os.Chmod(c.dir, 0o755); err != nil {
		return err
	}
	cmd := c.command("initdb", "--pgdata="+c.data(), "--username=pyth", "--pwfile="+password, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// DataDir returns the directory with the databases and the write-ahead log.
func (c *Cluster) DataDir() string { return c.data() }

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// command returns a command that runs as an ordinary user.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(c.programs, name), args...)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// Start starts the server and waits until it accepts connections.
func (c *Cluster) Start() error {
	var log bytes.Buffer
	// Set fsync=off, because this setting can lose data only if the operating system
	// crashes. A crash of a process does not lose data.
	c.process = c.command("postgres", "-D", c.data(), "-k", c.dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=200", "-c", "log_statement=none")
	c.process.Stdout, c.process.Stderr = &log, &log
	if err := c.process.Start(); err != nil {
		return err
	}
	c.exited = make(chan struct{})
	go func() {
		_ = c.process.Wait()
		close(c.exited)
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := c.Exec(context.Background(), "postgres", "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("PostgreSQL ended: %s", log.String())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not start: %w", err)
		}
	}
}

// Stop stops the server and waits until it has ended. If the parameter "crash" is true,
// all processes stop at once. The next start then recovers the data from the write-ahead
// log. Otherwise the server closes all connections before it stops.
func (c *Cluster) Stop(crash bool) {
	if c.process == nil {
		return
	}
	stop := syscall.SIGINT
	if crash {
		stop = syscall.SIGQUIT
	}
	_ = c.process.Process.Signal(stop)
	<-c.exited
	c.process = nil
}

// Suspend pauses all processes of the server until Resume is called. A client of a
// suspended server gets no response, as if the network were down.
func (c *Cluster) Suspend() error { return c.signalAll(syscall.SIGSTOP) }

// Resume continues a suspended server.
func (c *Cluster) Resume() error { return c.signalAll(syscall.SIGCONT) }

// signalAll sends a signal to the server and its child processes. Each child process has
// a separate process group, so one signal to a group is not enough.
func (c *Cluster) signalAll(s syscall.Signal) error {
	main := c.process.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", main, main))
	if err != nil {
		return err
	}
	errs := []error{syscall.Kill(main, s)}
	for _, child := range strings.Fields(string(children)) {
		var pid int
		if _, err := fmt.Sscan(child, &pid); err != nil {
			return err
		}
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close stops the server and removes its files.
func (c *Cluster) Close() error {
	c.Stop(true)
	return os.RemoveAll(c.dir)
}

// URL returns the URL of a database.
func (c *Cluster) URL(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword("pyth", Password), Path: "/" + database,
		RawQuery: url.Values{"host": {c.dir}}.Encode(),
	}).String()
}

// Exec executes a statement in a database.
func (c *Cluster) Exec(ctx context.Context, database, statement string, args ...any) (err error) {
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement, args...)
	return err
}

// NewDatabase creates an empty database and returns its name.
func (c *Cluster) NewDatabase() (string, error) {
	name := fmt.Sprint("test", c.databases.Add(1))
	return name, c.Exec(context.Background(), "postgres", "CREATE DATABASE "+name)
}

// Database creates an empty database for a test and returns its URL.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name, err := c.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return c.URL(name)
}

// Empty deletes all rows of all tables of a database. It keeps the version of the
// schema. Empty is much faster than the creation of a new database.
func (c *Cluster) Empty(ctx context.Context, database string) error {
	return c.Exec(ctx, database, `DO $$ DECLARE tables text; BEGIN
		SELECT string_agg(quote_ident(tablename), ', ') INTO tables FROM pg_tables
			WHERE schemaname = 'public' AND tablename <> 'goose_db_version';
		EXECUTE 'TRUNCATE ' || tables || ' CASCADE';
	END $$`)
}

// Main starts a cluster, calls the function "use" with it, and runs the tests of a
// package. Functions with the name TestMain call Main.
func Main(m *testing.M, use func(*Cluster)) int {
	c, err := New()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(c)
	code := m.Run()
	if err := c.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
