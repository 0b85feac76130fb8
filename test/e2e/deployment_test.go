package e2e_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pyth-on/pyth-on/internal/cluster/bus/natstest"
	"github.com/pyth-on/pyth-on/internal/postgres/postgrestest"
)

// deployment is a complete cluster: PostgreSQL, NATS, servers and workers. Each server
// and each worker connects to NATS and PostgreSQL through its own proxies. So a test
// can interrupt the connection between any two processes.
type deployment struct {
	postgres *postgrestest.Cluster
	nats     *natstest.Server
	token    string
	keyFile  string
	database string
	nodes    []*node
}

// node is a server or a worker of a deployment. A test can kill a node and start it
// again.
type node struct {
	name     string
	worker   bool
	data     string
	program  string // Path of the binary; "" for the binary of the tests.
	args     []string
	nats, db *proxy

	mu      sync.Mutex
	current *server
	// logs contains the log of each process that this node has started.
	logs []*logBuffer
}

// process returns the running process of the node. If the node is not running, it
// returns the last process of the node.
func (n *node) process() *server {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.current
}

// lines returns all log lines that contain the text. It searches the logs of all
// processes of the node.
func (n *node) lines(text string) (found []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.logs {
		for line := range strings.Lines(l.String()) {
			if strings.Contains(line, text) {
				found = append(found, n.name+": "+strings.TrimSpace(line))
			}
		}
	}
	return found
}

// newDeployment starts PostgreSQL and NATS. No other test uses these two processes.
func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{postgres: newCluster(t), nats: natstest.Start(t)}
	dir := t.TempDir()
	d.token, d.keyFile = filepath.Join(dir, "token"), filepath.Join(dir, "root.key")
	for path, content := range map[string]string{d.token: "joining token of the tests\n", d.keyFile: strings.Repeat("k", 32)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.database = d.postgres.Database(t)
	return d
}

// natsProxy starts a new proxy to NATS. It returns the proxy and the flags with which a
// node connects to NATS through this proxy.
func (d *deployment) natsProxy(t *testing.T) *proxy {
	t.Helper()
	return startProxy(t, "tcp", strings.TrimPrefix(d.nats.URL, "nats://"))
}

// databaseProxy starts a new proxy to PostgreSQL. It returns the proxy and a database
// URL that contains the address of this proxy.
func (d *deployment) databaseProxy(t *testing.T) (*proxy, string) {
	t.Helper()
	u := must(url.Parse(d.database))(t)
	p := startProxy(t, "unix", filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432"))
	u.Host, u.RawQuery = p.address(), "sslmode=disable"
	return p, u.String()
}

// clusterFlags returns the flags with which a node connects to NATS through the given
// proxy.
func (d *deployment) clusterFlags(flag string, p *proxy) []string {
	return []string{flag + "=nats://" + p.address(), "--join-token-file=" + d.token}
}

// addWorker starts a worker and waits until the worker has joined the cluster.
func (d *deployment) addWorker(t *testing.T, n *node, flags ...string) *node {
	t.Helper()
	n.worker, n.data = true, newDataDir(t)
	n.nats = d.natsProxy(t)
	n.args = slices.Concat([]string{"worker", "--name=" + n.name, "--data-dir=" + n.data, "--log-level=debug"}, d.clusterFlags("--nats", n.nats), noStock, npmRegistry(), flags)
	n.start(t)
	d.nodes = append(d.nodes, n)
	return n
}

// addServer starts a server and waits until the server answers requests.
func (d *deployment) addServer(t *testing.T, n *node, flags ...string) *node {
	t.Helper()
	n.data = newDataDir(t)
	n.nats = d.natsProxy(t)
	var database string
	n.db, database = d.databaseProxy(t)
	databases.set(n.data, database)
	n.args = slices.Concat([]string{
		"serve", "--addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--rate-limit=off", "--log-level=debug", "--data-dir=" + n.data, "--root-key-file=" + d.keyFile,
	}, d.clusterFlags("--dispatch", n.nats), noStock, npmRegistry(), flags)
	n.start(t)
	d.nodes = append(d.nodes, n)
	return n
}

// The method "start" starts the process of the node and waits until this process is
// ready.
func (n *node) start(t *testing.T) {
	t.Helper()
	s := newServer(n.data)
	s.program = n.program
	if err := s.begin(nil, n.args...); err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	first := n.current == nil
	n.logs = append(n.logs, s.log)
	n.mu.Unlock()
	if n.worker {
		if err := s.waitUntilWorking(); err != nil {
			t.Fatal(err)
		}
	} else if err := s.waitUntilServing(); err != nil {
		t.Fatal(err)
	} else {
		s.findCgroupParents()
	}
	n.mu.Lock()
	n.current = s
	n.mu.Unlock()
	if first {
		t.Cleanup(func() { n.process().stop(t) })
	}
}

// servers returns the servers of the deployment.
func (d *deployment) servers() (all []*node) {
	for _, n := range d.nodes {
		if !n.worker {
			all = append(all, n)
		}
	}
	return all
}

// awaitWorkers waits until each server of the deployment can send programs to n
// workers.
func (d *deployment) awaitWorkers(t *testing.T, n int) {
	t.Helper()
	for _, s := range d.servers() {
		(&workers{server: s.process()}).awaitReady(t, n)
	}
}

// counter is a web server outside the sandboxes. Each program sends a request to the
// counter when the program starts. So the counter knows how often each program has
// started.
type counter struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string]int
	total int
}

func startCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{calls: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls[strings.TrimPrefix(r.URL.Path, "/")]++
		c.total++
	}))
	t.Cleanup(c.Close)
	return c
}

// request returns a request for a program that sends its name to the counter and then
// prints its name. The program does not use urllib, because the import of urllib would
// take most of the time of such a short program.
func (c *counter) request(name string) object {
	host := strings.TrimPrefix(c.URL, "http://")
	return object{
		"code": fmt.Sprintf("import socket\ns = socket.create_connection(('127.0.0.1', 3128))\n"+
			"s.sendall(b'GET http://%s/%s HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n')\n"+
			"answer = s.recv(12)\nassert answer == b'HTTP/1.1 200', answer\nprint('%s')", host, name, host, name),
		"network": object{"allow": []string{host}},
	}
}

// counterFlags contains flags that allow programs to send requests to a counter on this
// machine.
var counterFlags = []string{"--egress-allow-range=127.0.0.0/8"}

func (c *counter) of(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[name]
}

func (c *counter) sum() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// requireOnce checks that no program has started twice.
func (c *counter) requireOnce(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, n := range c.calls {
		if n > 1 {
			t.Errorf("%s started %d times", name, n)
		}
	}
}

// ledger contains the runs that servers have accepted.
type ledger struct {
	mu   sync.Mutex
	runs map[string]string // From the name of an asynchronous run to its ID.
}

func (l *ledger) add(name, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil {
		l.runs = map[string]string{}
	}
	l.runs[name] = id
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs)
}

// requireOneEnd checks all accepted runs. Each run must have exactly one final record
// and an entry in the audit log. The record must agree with the counter. requireOneEnd
// returns the number of runs for each status.
func (l *ledger) requireOneEnd(t *testing.T, a *account, c *counter, explain func(id string) []string) map[string]int {
	t.Helper()
	// Some answers were lost although the server had accepted the run. These runs must
	// also end.
	for _, state := range []string{"queued", "running"} {
		for _, id := range a.recordIDs(t, "state="+state) {
			a.wait(t, id)
		}
	}
	ended := map[string]int{}
	for _, id := range a.recordIDs(t, "state=ended") {
		ended[id]++
	}
	audited := map[string]int{}
	for _, e := range a.auditLog(t, "action=code.executed&limit=200") {
		if id, ok := e.Details["executionId"].(string); ok {
			audited[id]++
		}
	}
	statuses := map[string]int{}
	failed := func(id, format string, args ...any) {
		t.Helper()
		t.Errorf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(explain(id), "\n"))
	}
	for name, id := range l.runs {
		if ended[id] != 1 {
			failed(id, "run %s of %s has %d final records", id, name, ended[id])
			continue
		}
		if audited[id] == 0 {
			failed(id, "run %s of %s has no entry in the audit log", id, name)
		}
		r, n := a.record(t, id), c.of(name)
		statuses[cmp.Or(r.Reason, r.Status)]++
		switch {
		case r.Status == "succeeded" && n == 1 && r.Stdout == name+"\n":
		case r.Status == "killed" && r.Reason == "worker_lost" && n <= 1:
		default:
			failed(id, "%s started %d times, and its record is %+v", name, n, r)
		}
	}
	c.requireOnce(t)
	return statuses
}

// recordIDs returns the IDs of all records of runs that match the query.
func (a *account) recordIDs(t testing.TB, query string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		var page struct {
			Executions []record
			NextCursor string
		}
		a.server.call(t, a, "GET", "/api/v1/executions?limit=200&"+query+"&cursor="+url.QueryEscape(cursor), nil).want(t, 200, &page)
		for _, r := range page.Executions {
			ids = append(ids, r.ID)
		}
		if cursor = page.NextCursor; cursor == "" {
			return ids
		}
	}
}
