package e2e_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pyth-on/pyth-on/internal/postgres/postgrestest"
)

// databaseOfTests is the environment variable that selects the database of the servers.
// If the value is "postgres", or if the tests use workers, all tests use PostgreSQL.
// Otherwise only the subtests of TestPostgres use PostgreSQL.
const databaseOfTests = "E2E_DATABASE"

func usesPostgres(t testing.TB) bool {
	return usesWorkers() || os.Getenv(databaseOfTests) == "postgres" || strings.HasPrefix(t.Name(), "TestPostgres/")
}

// cluster is a PostgreSQL server that most tests share. Tests that stop PostgreSQL
// start a separate PostgreSQL server.
var cluster struct {
	once   sync.Once
	server *postgrestest.Cluster
	err    error
}

func sharedCluster() (*postgrestest.Cluster, error) {
	cluster.once.Do(func() { cluster.server, cluster.err = postgrestest.New() })
	return cluster.server, cluster.err
}

func stopCluster() error {
	if cluster.server == nil {
		return nil
	}
	return cluster.server.Close()
}

// databases maps each data directory of a server to the URL of its PostgreSQL database.
var databases = databaseURLs{urls: map[string]string{}}

type databaseURLs struct {
	mu   sync.Mutex
	urls map[string]string
}

// assign returns the URL of the PostgreSQL database for the data directory. If the
// directory has no database yet, assign creates one.
func (d *databaseURLs) assign(data string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if url, ok := d.urls[data]; ok {
		return url, nil
	}
	c, err := sharedCluster()
	if err != nil {
		return "", err
	}
	name, err := c.NewDatabase()
	if err != nil {
		return "", err
	}
	d.urls[data] = c.URL(name)
	return d.urls[data], nil
}

// The method "set" sets the URL for the data directory.
func (d *databaseURLs) set(data, url string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.urls[data] = url
}

// The method "of" returns the database URL for the data directory. It returns "" if the
// directory has no database URL.
func (d *databaseURLs) of(data string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.urls[data]
}

// environ returns the environment for commands that use the data directory.
func (d *databaseURLs) environ(data string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if url, ok := d.urls[data]; ok {
		return append(os.Environ(), "PYTH_ON_DATABASE="+url)
	}
	return os.Environ()
}

// dataDirOf returns the value of the flag --data-dir in the arguments of a command.
func dataDirOf(args []string) string {
	for _, arg := range args {
		if dir, ok := strings.CutPrefix(arg, "--data-dir="); ok {
			return dir
		}
	}
	return ""
}
