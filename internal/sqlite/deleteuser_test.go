package sqlite_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/sqlite"
	"github.com/pyth-on/pyth-on/internal/storetest"
)

// TestDeleteUserEmptiesEveryTable reads the list of tables from the schema. Therefore
// the test also covers tables that are added later.
func TestDeleteUserEmptiesEveryTable(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	storetest.Fill(t, s, "bob")
	before := rowsOf(t, s)
	storetest.Fill(t, s, "ada")
	for name, rows := range rowsOf(t, s) {
		if len(rows) == len(before[name]) && !slices.Contains(serverTables, name) {
			t.Errorf("storetest.Fill stores no row in the table %s", name)
		}
	}
	if err := s.DeleteUser(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, rowsOf(t, s)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// serverTables contains the tables that have no rows of users, and the audit log. The
// table sign_ins is one of these tables: its rows belong to persons without an account
// and expire after five minutes.
var serverTables = []string{"audit", "audit_checkpoint", "invites", "retired_root_keys", "server_keys", "servers", "sign_ins", "write_check"}

// rowsOf returns the rows of all tables as texts.
func rowsOf(t *testing.T, s *sqlite.Store) map[string][]string {
	t.Helper()
	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	tables, err := snapshot.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		out[name] = []string{}
		for row, err := range snapshot.Rows(t.Context(), name, tables[name], tables[name]) {
			if err != nil {
				t.Fatal(err)
			}
			out[name] = append(out[name], fmt.Sprintf("%q", row))
		}
	}
	return out
}
