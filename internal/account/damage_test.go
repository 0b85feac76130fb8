package account_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

const mallory = "mallory@example.org"

func (s *service) tamper(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	result, err := db.ExecContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		t.Fatalf("the statement changed %d rows, want 1: %v", n, err)
	}
}

// set returns an SQL statement that changes one column in the rows of the user mallory.
// In these tests, mallory is the attacker.
func set(table, column, value string) string {
	return "UPDATE " + table + " SET " + column + " = " + value + " WHERE user_id = " + idOf(mallory)
}

func idOf(email string) string { return "(SELECT id FROM users WHERE email = '" + email + "')" }

func adas(table, column string) string {
	return "(SELECT " + column + " FROM " + table + " WHERE user_id = " + idOf(email) + ")"
}

// changeByte returns an SQL expression for the value of the column with one changed byte.
// The parameter "place" is the position of this byte: 1 is the first byte, and -1 is the
// last byte.
func changeByte(column, place string) string {
	zero := "substr(" + column + ", " + place + ", 1) = X'00'"
	rest := "substr(" + column + ", " + place + " + 1)"
	return "CAST(substr(" + column + ", 1, " + place + " - 1) || CASE WHEN " + zero + " THEN X'01' ELSE X'00' END || " + rest + " AS BLOB)"
}

func TestLoginRefusesChangedDatabaseRows(t *testing.T) {
	for name, statement := range map[string]string{
		"attack 101: another user's key":      set("api_keys", "sealed", adas("api_keys", "sealed")),
		"attack 101: another user's data key": set("data_keys", "wrapped", adas("data_keys", "wrapped")),
		"attack 101: another version":         set("data_keys", "version", "version + 1"),
		"attack 101: another name":            set("api_keys", "id", "'key_other'"),
		"attack 102: the first byte":          set("api_keys", "sealed", changeByte("sealed", "1")),
		"attack 102: a byte of the nonce":     set("api_keys", "sealed", changeByte("sealed", "5")),
		"attack 102: a byte in the middle":    set("api_keys", "sealed", changeByte("sealed", "(length(sealed) / 2)")),
		"attack 102: the last byte":           set("api_keys", "sealed", changeByte("sealed", "length(sealed)")),
		"attack 102: cut short":               set("api_keys", "sealed", "substr(sealed, 1, 20)"),
		"attack 102: empty":                   set("api_keys", "sealed", "X''"),
		"attack 102: a byte of the data key":  set("data_keys", "wrapped", changeByte("wrapped", "length(wrapped)")),
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			ada := s.register(t, email)
			s.register(t, mallory)
			s.tamper(t, statement)
			g, err := s.Login(t.Context(), mallory, password, "")
			want(t, err, pyth.CodeInternal)
			if g != nil || err != nil && strings.Contains(err.Error(), ada.APIKey) {
				t.Errorf("got %+v, %v", g, err)
			}
			// The damaged row must not affect other accounts.
			if again := s.login(t, email, password); again.APIKey != ada.APIKey {
				t.Errorf("got %+v", again)
			}
		})
	}
}
