package e2e_test

import (
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// canaries contains texts that must be readable only in the processes that need them.
type canaries struct{ code, output, file, stdin, secret string }

func newCanaries() canaries {
	return canaries{"canary-code-41d8", "canary-output-7f3a", "canary-file-c02b", "canary-stdin-99e1", "canary-secret-5b6d"}
}

// texts returns all canaries, each in plain text and in common encodings.
func (c canaries) texts() (all []string) {
	for _, text := range []string{c.code, c.output, c.file, c.stdin, c.secret} {
		all = append(all, text, hex.EncodeToString([]byte(text)))
		// The base64 form of a string depends on the position of the string in the
		// encoded data. The first and the last base64 characters also depend on
		// neighbouring bytes, so omit these characters.
		for shift := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + text + "xx"))
			all = append(all, encoded[4:len(encoded)-8])
		}
	}
	return all
}

// request returns a request for a program. The request contains all canaries, and the
// program prints most of them.
func (c canaries) request() object {
	// The program joins two parts to get the output canary. So the code does not
	// contain the complete canary.
	half := len(c.output) / 2
	return object{
		"code": fmt.Sprintf("# %s\nimport os, sys\nprint('%s' + '%s', sys.stdin.read(), os.environ['CANARY'])\nopen('out.txt', 'w').write(open('in.txt').read())\n'%s' + '%s'",
			c.code, c.output[:half], c.output[half:], c.output[:half], c.output[half:]),
		"stdin": c.stdin, "files": []object{{"path": "in.txt", "content": c.file}}, "outputFiles": []string{"out.txt"},
		"secrets": []string{"CANARY"}, "redactSecrets": false, "results": true,
	}
}

// runAll runs the program in all ways that the API offers. It returns two lists of run
// IDs: runs whose content is stored, and runs with the setting "store": false.
func (c canaries) runAll(t *testing.T, a *account) (stored, unstored []string) {
	t.Helper()
	a.storeSecret(t, "CANARY", c.secret)
	for _, store := range []bool{true, false} {
		ids := &stored
		if !store {
			ids = &unstored
		}
		request := c.request()
		request["store"] = store
		x := a.execute(t, request).ends(t, "succeeded")
		if !strings.Contains(x.Stdout, c.output) || !strings.Contains(x.Stdout, c.secret) || string(x.fileContent(t, "out.txt")) != c.file {
			t.Fatalf("got %s", x)
		}
		_, _, end := a.openStream(t.Context(), t, request).readAll(t)
		async := a.wait(t, a.enqueue(t, request).ID)
		if end == nil || end.Status != "succeeded" || async.Status != "succeeded" {
			t.Fatalf("got %+v and %+v", end, async)
		}
		*ids = append(*ids, x.ID, end.ID, async.ID)
		s := a.openSession(t, object{})
		y := s.runCode(t, "# "+c.code+"\nprint('"+c.output+"')", object{"store": store})
		*ids = append(*ids, y.ID)
	}
	for _, id := range stored {
		if r := a.record(t, id); r.Content != "stored" || !strings.Contains(r.Stdout, c.output) || !strings.Contains(r.Code, c.code) {
			t.Errorf("got %+v", r)
		}
	}
	a.recordIDs(t, "") // The server stores all records before it answers a request for the list.
	for _, id := range unstored {
		if r := a.record(t, id); r.Content != "none" || r.Stdout != "" || r.Code != "" {
			t.Errorf("got %+v", r)
		}
	}
	return stored, unstored
}

// rowsOf returns the names of all tables that contain the ID of the run in any column.
// It ignores the audit log, which contains the IDs of runs, but no content.
func rowsOf(t *testing.T, db *sql.DB, tables []string, id string) (found []string) {
	t.Helper()
	for _, table := range tables {
		if strings.HasPrefix(table, "audit") || strings.HasPrefix(table, "goose") || strings.HasPrefix(table, "sqlite") {
			continue
		}
		rows := must(db.QueryContext(t.Context(), `SELECT * FROM "`+table+`"`))(t)
		columns := must(rows.Columns())(t)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if strings.Contains(fmt.Sprintf("%s", *v.(*any)), id) {
					found = append(found, table)
					break
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
	}
	return found
}

func tablesOf(t *testing.T, db *sql.DB, query string) (tables []string) {
	t.Helper()
	rows := must(db.QueryContext(t.Context(), query))(t)
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil || !slices.Contains(tables, "executions") {
		t.Fatal(tables, err)
	}
	return tables
}

// requireContentInDatabase checks that the database contains the content of the stored
// runs. For the other runs, the database must contain only the records.
func requireContentInDatabase(t *testing.T, db *sql.DB, tables, stored, unstored []string) {
	t.Helper()
	for _, id := range stored {
		if found := rowsOf(t, db, tables, id); !slices.Contains(found, "execution_contents") {
			t.Errorf("the run %s is in the tables %v", id, found)
		}
	}
	for _, id := range unstored {
		found := rowsOf(t, db, tables, id)
		if !slices.Contains(found, "executions") || slices.Contains(found, "execution_contents") || slices.Contains(found, "execution_requests") {
			t.Errorf("the run %s without content is in the tables %v", id, found)
		}
	}
}

// requireNothingInDatabase checks that the database contains no row of the given runs.
func requireNothingInDatabase(t *testing.T, db *sql.DB, tables, ids []string) {
	t.Helper()
	for _, id := range ids {
		if found := rowsOf(t, db, tables, id); len(found) > 0 {
			t.Errorf("the deleted run %s is in the tables %v", id, found)
		}
	}
}

// TestExecuteHidesContentOnDisk searches for code, output and secrets in the files of a
// server with SQLite. It searches while the server runs and after the server was
// killed. It also checks that no rows of a run remain after the run is deleted or its
// retention period ends.
func TestExecuteHidesContentOnDisk(t *testing.T) {
	t.Parallel()
	begun := time.Now().Add(-time.Second)
	data, c := newDataDir(t), newCanaries()
	s := startServerIn(t, data, nil)
	a := s.register(t)
	stored, unstored := c.runAll(t, a)
	db := must(sql.Open("sqlite", "file:"+filepath.Join(data, "pyth-on.db")+"?mode=ro"))(t)
	defer func() { _ = db.Close() }()
	tables := tablesOf(t, db, "SELECT name FROM sqlite_master WHERE type = 'table'")
	requireNoFileContains(t, data, begun, c.texts())
	requireContentInDatabase(t, db, tables, stored, unstored)
	s.call(t, a, "DELETE", "/api/v1/executions/"+stored[0], nil).want(t, 204, nil)
	requireNothingInDatabase(t, db, tables, stored[:1])
	s.kill(t)
	requireNoFileContains(t, data, begun, c.texts())
	requireHidden(t, s.log.String(), c.texts())

	// After its next start, the server must remove records that are too old.
	next := startServerIn(t, data, nil, "--keep-output=1ms", "--keep-runs=1ms")
	a = a.on(next)
	eventually(t, "old records are deleted", func() bool { return len(a.recordIDs(t, "")) == 0 })
	requireNothingInDatabase(t, db, tables, slices.Concat(stored, unstored))
	next.stop(t)
	requireNoFileContains(t, data, begun, c.texts())
	requireHidden(t, next.log.String(), c.texts())
}

// TestClusterHidesContent runs the checks of TestExecuteHidesContentOnDisk on a
// cluster. It also searches the files of PostgreSQL and the network traffic of NATS and
// PostgreSQL.
func TestClusterHidesContent(t *testing.T) {
	t.Parallel()
	begun := time.Now().Add(-time.Second)
	c, d := newCanaries(), newDeployment(t)
	w := d.addWorker(t, &node{name: "worker"})
	n := d.addServer(t, &node{name: "server"})
	for _, p := range []*proxy{w.nats, n.nats, n.db} {
		p.mu.Lock()
		p.record = true
		p.mu.Unlock()
	}
	d.awaitWorkers(t, 1)
	a := n.process().register(t)
	stored, unstored := c.runAll(t, a)
	db := must(sql.Open("pgx", d.database))(t)
	defer func() { _ = db.Close() }()
	tables := tablesOf(t, db, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	requireContentInDatabase(t, db, tables, stored, unstored)
	n.process().call(t, a, "DELETE", "/api/v1/executions/"+stored[0], nil).want(t, 204, nil)
	requireNothingInDatabase(t, db, tables, stored[:1])
	for _, p := range []*proxy{w.nats, n.nats, n.db} {
		traffic := p.recorded()
		if i := indexOfContained(traffic, c.texts()); i >= 0 || len(traffic) == 0 {
			t.Errorf("the %d bytes of traffic contain text %d", len(traffic), i)
		}
	}
	// CHECKPOINT makes PostgreSQL write all changed pages to the files of the tables.
	if _, err := db.ExecContext(t.Context(), "CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	requireNothingOnDisk := func() {
		t.Helper()
		for _, dir := range []string{d.postgres.DataDir(), w.data, n.data} {
			requireNoFileContains(t, dir, begun, c.texts())
		}
		for _, x := range d.nodes {
			for _, l := range x.logs {
				requireHidden(t, l.String(), c.texts())
			}
		}
	}
	requireNothingOnDisk()

	n.process().stop(t)
	n.args = append(n.args, "--keep-output=1ms", "--keep-runs=1ms")
	n.start(t)
	a = a.on(n.process())
	eventually(t, "old records are deleted", func() bool { return len(a.recordIDs(t, "")) == 0 })
	requireNothingInDatabase(t, db, tables, slices.Concat(stored, unstored))
	requireNothingOnDisk()
}
