package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

var at = time.Date(2026, 4, 4, 8, 23, 21, 123456000, time.UTC)

// filled returns a store with rows in all tables.
func filled(t testing.TB) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ctx := t.Context()
	for i, name := range []string{"ada", "Ünal", "Zoë"} {
		u := pyth.UserID("usr_" + name)
		hash := [32]byte{byte(i), 1}
		for _, err := range []error{
			s.CreateUser(ctx, &pyth.User{ID: u, Email: name + "@example.org", PasswordHash: "$argon2id$" + name, CreatedAt: at},
				&pyth.APIKey{ID: pyth.KeyID("key_" + name), UserID: u, Name: "first", Prefix: "pyapi_", Hash: hash, Sealed: []byte{0, 255}, CreatedAt: at},
				&pyth.DataKey{UserID: u, Version: 2, Wrapped: pyth.WrappedKey{RootKey: "r", Bytes: []byte{1, 0}}}),
			s.CreateAPIKey(ctx, &pyth.APIKey{ID: pyth.KeyID("other_" + name), UserID: u, Hash: [32]byte{byte(i), 2}, CreatedAt: at, ExpiresAt: at}),
			s.CreateRefreshToken(ctx, &pyth.RefreshToken{Hash: hash, FamilyID: "f", UserID: u, IssuedAt: at, ExpiresAt: at, SpentAt: at, ClientHash: hash}),
			s.PutSecret(ctx, u, &pyth.SealedSecret{Secret: pyth.Secret{Name: "A", Description: "a\x00b", Version: 1, CreatedAt: at, UpdatedAt: at}, Sealed: []byte{7}}, 9),
			s.PutPackageList(ctx, u, &pyth.PackageList{Runtime: pyth.PythonRuntime, Revision: 1, Layer: "l", Packages: []*pyth.PinnedPackage{
				{Package: pyth.Package{Name: "b", Language: pyth.Python, SizeBytes: 1 << 40, InstalledAt: at}, Place: "b", Requires: []string{"a"}},
				{Package: pyth.Package{Name: "a", Language: pyth.Python, Direct: true, InstalledAt: at}, Place: "a"},
			}}),
			s.CreateServerKey(ctx, &pyth.ServerKey{Name: name, Wrapped: pyth.WrappedKey{RootKey: "r", Bytes: []byte{3}}}),
			s.RetireRootKeys(ctx, []string{"old " + name}),
			s.CreateWebhook(ctx, &pyth.SealedWebhook{Webhook: pyth.Webhook{
				ID: "whk_" + pyth.WebhookID(name), User: u, URL: "https://example.org", Events: pyth.WebhookEvents(), CreatedAt: at,
			}, Sealed: []byte{5}}, 9),
			s.PutExecutions(ctx, []*pyth.SealedExecution{{ExecutionRecord: pyth.ExecutionRecord{ID: pyth.NewExecutionID(at), User: u, State: pyth.StateEnded, EndedAt: at}}}),
			s.AddGenerateTokens(ctx, u, at, pyth.Python, "key_"+pyth.KeyID(name), 1),
			s.PutExecutions(ctx, []*pyth.SealedExecution{
				{ExecutionRecord: pyth.ExecutionRecord{
					ID: pyth.NewExecutionID(at), User: u, State: pyth.StateEnded, Language: pyth.Python, Labels: []string{"a", "ü"}, EndedAt: at,
				}, Sealed: []byte{0, 1}},
				{ExecutionRecord: pyth.ExecutionRecord{ID: pyth.NewExecutionID(at), User: u, State: pyth.StateQueued}},
			}),
			s.KeepServer(ctx, pyth.ServerID("of "+name)),
			s.CreateInvite(ctx, &pyth.Invite{ID: pyth.InviteID("inv_" + name), Hash: hash, Email: name + "@example.com", CreatedAt: at, ExpiresAt: at, CreatedBy: u}),
			s.CreateIdentity(ctx, &pyth.Identity{ID: pyth.IdentityID("idn_" + name), UserID: u, Issuer: "https://example.org", Subject: name, CreatedAt: at}, 9),
			s.CreateSignIn(ctx, &pyth.SignIn{Hash: hash, Challenge: hash, ProviderUser: pyth.ProviderUser{Subject: name, EmailVerified: true}, CreatedAt: at, ExpiresAt: at}),
			s.PutSecondFactor(ctx, &pyth.SecondFactor{UserID: u, ID: "totp_" + name, Sealed: []byte{6, 0}, CreatedAt: at}),
			s.ActivateSecondFactor(ctx, u, "totp_"+name, at, 5, [][32]byte{hash}, "f"),
			s.CreateRefreshToken(ctx, &pyth.RefreshToken{Hash: [32]byte{byte(i), 9}, FamilyID: "g", UserID: u, IssuedAt: at, ExpiresAt: at}),
			s.CreateEmailConfirmation(ctx, &pyth.EmailConfirmation{Hash: hash, UserID: u, Email: "a@example.org", CreatedAt: at, ExpiresAt: at}),
			s.CreateResetToken(ctx, &pyth.ResetToken{Hash: hash, UserID: u, CreatedAt: at, ExpiresAt: at}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.BeginRequest(ctx, &pyth.IdempotentRequest{User: u, Key: hash, Request: hash, CreatedAt: at}, at, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := s.EnqueueExecutions(ctx, []*pyth.QueuedExecution{
			{ExecutionRecord: pyth.ExecutionRecord{ID: pyth.NewExecutionID(at), User: u, State: pyth.StateQueued, Async: true}, Request: []byte{0, 2}},
		}, pyth.QueueLimits{Runs: 1, Bytes: 2}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.StoreCode(ctx, u, "p", &pyth.EncryptedProgram{Language: pyth.Python, KDF: pyth.KDF{Salt: []byte{1}, Time: 3, MemoryKiB: 4, Parallelism: 5}, Nonce: []byte{2}, Ciphertext: make([]byte, 1<<20)}, at, 9); err != nil {
			t.Fatal(err)
		}
		if _, err := s.TakeTokens(ctx, u, at, 1, 2, 3); err != nil {
			t.Fatal(err)
		}
	}
	var records []*pyth.AuditRecord
	for i := range 2500 {
		records = append(records, &pyth.AuditRecord{
			Sequence: int64(i), User: "usr_ada", Action: pyth.ActionUserLogin, Outcome: pyth.AuditSuccess, Timestamp: at,
			Record: fmt.Appendf(nil, "record %d", i), Hashes: [][32]byte{{byte(i)}},
		})
	}
	if err := errors.Join(s.AppendAudit(ctx, records, []byte("note")), s.PruneAudit(ctx, 0, 10), s.CheckWrite(ctx)); err != nil {
		t.Fatal(err)
	}
	return s
}

func snapshot(t testing.TB, s *sqlite.Store) *sqlite.Snapshot {
	t.Helper()
	source, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

func ignoreProgress(string, int64, int64) {}

func TestImportCopiesEverything(t *testing.T) {
	from, to := filled(t), open(t, cluster.Database(t))
	source := snapshot(t, from)
	steps := 0
	copied, err := to.Import(t.Context(), source, func(string, int64, int64) { steps++ })
	if err != nil {
		t.Fatal(err)
	}
	tables, err := source.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(copied) != len(tables) || steps < len(tables)+2 {
		t.Errorf("%d of %d tables were copied, with %d steps", len(copied), len(tables), steps)
	}
	for _, c := range copied {
		if c.Rows == 0 {
			t.Errorf("the test has no rows in table %s", c.Table)
		}
	}
	// The methods of both stores (SQLite and PostgreSQL) must return the same values.
	ctx := t.Context()
	calls := map[string]func(s pyth.Store) (any, error){
		"user":          func(s pyth.Store) (any, error) { return s.UserByEmail(ctx, "ÜNAL@example.org") },
		"keys":          func(s pyth.Store) (any, error) { return s.APIKeys(ctx, "usr_Zoë", "", 9) },
		"token":         func(s pyth.Store) (any, error) { return s.RefreshToken(ctx, [32]byte{1, 1}) },
		"current token": func(s pyth.Store) (any, error) { return s.RefreshToken(ctx, [32]byte{1, 9}) },
		"data keys":     func(s pyth.Store) (any, error) { return s.DataKeys(ctx, "", 9) },
		"secrets":       func(s pyth.Store) (any, error) { return s.SealedSecrets(ctx, "usr_ada") },
		"server keys":   func(s pyth.Store) (any, error) { return s.ServerKeys(ctx) },
		"program":       func(s pyth.Store) (any, error) { return s.Code(ctx, "usr_ada", "p") },
		"programs":      func(s pyth.Store) (any, error) { return s.Codes(ctx, "usr_ada") },
		"packages":      func(s pyth.Store) (any, error) { return s.PackageList(ctx, "usr_ada", pyth.PythonRuntime) },
		"layers":        func(s pyth.Store) (any, error) { return s.UsedLayers(ctx) },
		"audit records": func(s pyth.Store) (any, error) { return s.AuditRecords(ctx, 0, 10_000) },
		"page of audit": func(s pyth.Store) (any, error) {
			return s.AuditPage(ctx, "usr_ada", pyth.AuditFilter{}, pyth.AuditPosition{}, 50)
		},
		"retired key": func(s pyth.Store) (any, error) {
			return nil, retired(s.CreateServerKey(ctx, &pyth.ServerKey{Name: "x", Wrapped: pyth.WrappedKey{RootKey: "old ada", Bytes: []byte{1}}}))
		},
		"tokens of user": func(s pyth.Store) (any, error) { return s.TakeTokens(ctx, "usr_ada", at, 1, 9, 3) },
	}
	for name, call := range calls {
		a, err := call(from)
		if err != nil {
			t.Fatal(name, err)
		}
		b, err := call(to)
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: got %+v, %v, want %+v", name, b, err, a)
		}
	}
	size, note, err := to.AuditHead(ctx)
	if err != nil || size != 2500 || string(note) != "note" {
		t.Errorf("%d, %s, %v", size, note, err)
	}
}

// The function "retired" returns nil if the error says that a root key is retired.
// Otherwise it returns an error.
func retired(err error) error {
	if pyth.ErrorCode(err) == pyth.CodeConflict {
		return nil
	}
	return fmt.Errorf("the retired root key is accepted: %w", err)
}

func TestImportRefusesADatabaseWithData(t *testing.T) {
	from, to := filled(t), open(t, cluster.Database(t))
	if err := to.RetireRootKeys(t.Context(), []string{"r"}); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Import(t.Context(), snapshot(t, from), ignoreProgress); !errors.Is(err, postgres.ErrNotEmpty) || !strings.Contains(err.Error(), "retired_root_keys") {
		t.Errorf("got %v", err)
	}
	if keys, err := to.DataKeys(t.Context(), "", 1); err != nil || len(keys) != 0 {
		t.Errorf("rows were copied: %v, %v", keys, err)
	}
}

// lyingSource is a source that returns a wrong number of rows.
type lyingSource struct{ pyth.TableSource }

func (s lyingSource) Count(ctx context.Context, table string) (int64, error) {
	n, err := s.TableSource.Count(ctx, table)
	if table == "secrets" {
		n++
	}
	return n, err
}

// incompleteSource is a source in which one table is missing.
type incompleteSource struct{ pyth.TableSource }

func (s incompleteSource) Tables(ctx context.Context) (map[string][]string, error) {
	tables, err := s.TableSource.Tables(ctx)
	delete(tables, "secrets")
	return tables, err
}

func TestImportIsAllOrNothing(t *testing.T) {
	from, to := filled(t), open(t, cluster.Database(t))
	for name, source := range map[string]pyth.TableSource{"a row is lost": lyingSource{snapshot(t, from)}, "a table is missing": incompleteSource{snapshot(t, from)}} {
		if _, err := to.Import(t.Context(), source, ignoreProgress); err == nil || !strings.Contains(err.Error(), "secrets") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := to.Import(ctx, snapshot(t, from), func(table string, _, _ int64) {
		if table == "users" {
			cancel()
		}
	}); err == nil {
		t.Error("a canceled import succeeded")
	}
	if _, err := to.Import(t.Context(), snapshot(t, from), ignoreProgress); err != nil {
		t.Errorf("the import after failures: %v", err)
	}
}
