package audit_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/audit"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

type recorder struct {
	events []pyth.AuditEvent
	err    error
}

func (r *recorder) Record(_ context.Context, e *pyth.AuditEvent) error {
	if r.err != nil {
		return r.err
	}
	r.events = append(r.events, *e)
	return nil
}

func (r *recorder) Begin(ctx context.Context, e *pyth.AuditEvent) func() error {
	return func() error { return r.Record(ctx, e) }
}

func (r *recorder) take() []pyth.AuditEvent {
	events := r.events
	r.events = nil
	return events
}

func (r *recorder) wants(t *testing.T, want ...pyth.AuditEvent) {
	t.Helper()
	if diff := cmp.Diff(want, r.take()); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

var seed = bytes.Repeat([]byte("s"), 32)

func newStore(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

const (
	email    = "ada@example.org"
	password = "correct horse battery"
)

func newAccounts(t *testing.T, r audit.Recorder) pyth.AccountService {
	t.Helper()
	store := newStore(t)
	keeper, err := vault.OpenOrCreateFileKeeper(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := account.New(account.Config{
		Store: store, Vault: vault.New(keeper, store), JWTKey: seed, Issuer: "i", Audience: "a", Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return audit.Accounts(s, r)
}

func TestAccountsRecordsActions(t *testing.T) {
	r := new(recorder)
	s := newAccounts(t, r)
	ctx := t.Context()
	g, err := s.Register(ctx, email, password, "")
	if err != nil {
		t.Fatal(err)
	}
	ada := g.User.ID
	of := func(action pyth.Action, outcome pyth.AuditOutcome) pyth.AuditEvent {
		return pyth.AuditEvent{User: ada, Action: action, Outcome: outcome}
	}
	nobody := func(action pyth.Action, outcome pyth.AuditOutcome) pyth.AuditEvent {
		return pyth.AuditEvent{Action: action, Outcome: outcome}
	}
	r.wants(t, of(pyth.ActionUserRegistered, pyth.AuditSuccess))

	_, _ = s.Register(ctx, email, password, "")
	_, _ = s.Register(ctx, "no address", password, "") // Malformed e-mail address.
	r.wants(t, nobody(pyth.ActionUserRegistered, pyth.AuditFailure))

	_, _ = s.Login(ctx, " ADA@Example.org", password, "")
	_, _ = s.Login(ctx, email, password+"x", "")
	_, _ = s.Login(ctx, "bob@example.org", password, "")
	r.wants(t, of(pyth.ActionUserLogin, pyth.AuditSuccess), of(pyth.ActionUserLogin, pyth.AuditDenied), nobody(pyth.ActionUserLogin, pyth.AuditDenied))

	first, err := s.Refresh(ctx, g.RefreshToken, pyth.Client{IP: "1"})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.Refresh(ctx, g.RefreshToken, pyth.Client{IP: "2"})
	_, _ = s.Refresh(ctx, first.RefreshToken, pyth.Client{IP: "1"}) // The token was revoked with its family, so its user is unknown.
	r.wants(t, of(pyth.ActionTokenRefreshed, pyth.AuditSuccess), of(pyth.ActionTokenReused, pyth.AuditDenied), nobody(pyth.ActionTokenRefreshed, pyth.AuditDenied))

	p, err := s.Authenticate(ctx, pyth.Credentials{APIKey: g.APIKey})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.Renew(ctx, p) // p was authenticated by API key, so there is no login.
	r.wants(t, of(pyth.ActionTokenRefreshed, pyth.AuditDenied))

	k, key, err := s.CreateKey(ctx, p, pyth.KeySpec{Name: "ci", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = s.CreateKey(ctx, p, pyth.KeySpec{Name: ""}) // Malformed name.
	_ = s.DeleteKey(ctx, p, "key_of_another")
	_ = s.DeleteKey(ctx, p, k.ID)
	created := pyth.AuditEvent{
		User: ada, Action: pyth.ActionKeyCreated, Outcome: pyth.AuditSuccess, Resource: string(k.ID),
		Details: map[string]any{
			"name": "ci", "prefix": key[:10], "expiresAt": k.ExpiresAt.Format(time.RFC3339),
			"scopes": []string{"execute", "sessions", "secrets:read", "secrets:write", "packages", "zk", "audit:read", "account"},
		},
	}
	denied, revoked := of(pyth.ActionKeyRevoked, pyth.AuditDenied), of(pyth.ActionKeyRevoked, pyth.AuditSuccess)
	denied.Resource, revoked.Resource = "key_of_another", string(k.ID)
	r.wants(t, created, denied, revoked)

	_ = s.ChangePassword(ctx, p, "wrong", "staple of another kind")
	_ = s.ChangePassword(ctx, p, password, "short") // Malformed password.
	_ = s.ChangePassword(ctx, p, password, "staple of another kind")
	r.wants(t, of(pyth.ActionPasswordChanged, pyth.AuditDenied), of(pyth.ActionPasswordChanged, pyth.AuditSuccess))

	_, _, _ = s.Keys(ctx, p, "", 10)
	_ = s.Logout(ctx, p, "")
	r.wants(t)
}

// TestDecoratorsReturnNoResultWithoutAnEntry checks that a call fails if its audit entry
// cannot be written. The call must then return no result.
func TestDecoratorsReturnNoResultWithoutAnEntry(t *testing.T) {
	r := new(recorder)
	s := newAccounts(t, r)
	g, err := s.Register(t.Context(), email, password, "")
	if err != nil {
		t.Fatal(err)
	}
	r.err = &pyth.Error{Code: pyth.CodeUnavailable, Message: "full"}
	var messages []string
	for _, given := range []string{password, password + "x"} {
		g, err := s.Login(t.Context(), email, given, "")
		e, ok := errors.AsType[*pyth.Error](err)
		if g != nil || !ok || e.Code != pyth.CodeUnavailable || !errors.Is(err, r.err) {
			t.Fatalf("%v, %v", g, err)
		}
		messages = append(messages, e.Message)
	}
	if !strings.HasPrefix(messages[0], "The action was carried out") || strings.HasPrefix(messages[1], "The action was carried out") {
		t.Errorf("%q", messages)
	}
	p := &pyth.Principal{User: g.User}
	if k, key, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: "ci"}); k != nil || key != "" || pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("%v, %v", k, err)
	}
	// The key exists although its audit entry could not be written.
	if keys, _, err := s.Keys(t.Context(), p, "", 10); err != nil || len(keys) != 2 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if _, err := s.Login(t.Context(), "", "", ""); pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

type executions func(*pyth.Program) (*pyth.Execution, error)

func (x executions) Execute(_ context.Context, _ pyth.UserID, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
	return x(p)
}

func TestExecutionsRecordsRuns(t *testing.T) {
	one := 1
	ran := &pyth.Execution{ID: "exe_1", Language: pyth.JavaScript, Outcome: pyth.Outcome{
		Status: pyth.StatusFailed, ExitCode: &one, Stdout: []byte("canary"), Stderr: []byte("canary"),
		Usage: pyth.Usage{Wall: 1600 * time.Microsecond},
	}}
	program := &pyth.Program{Code: "canary", Language: pyth.JavaScript, Session: "ses_1", Secrets: []string{"KEY"}, Stdin: "canary", Labels: []string{"x"}}
	locked := &pyth.Program{Language: pyth.Python, Encrypted: &pyth.EncryptedJob{Name: "mine", Password: []byte("canary")}}
	for name, c := range map[string]struct {
		program *pyth.Program
		err     error
		want    []pyth.AuditEvent
	}{
		"a program": {program, nil, []pyth.AuditEvent{{Action: pyth.ActionCodeExecuted, Outcome: pyth.AuditSuccess, Details: map[string]any{
			"executionId": "exe_1", "language": "javascript", "status": "failed", "exitCode": 1, "wallMs": int64(2), "sessionId": "ses_1",
			"secrets": []string{"KEY"}, "labels": []string{"x"}, "codeSha256": "",
		}}}},
		"an encrypted one": {locked, nil, []pyth.AuditEvent{{Action: pyth.ActionZKExecuted, Outcome: pyth.AuditSuccess, Resource: "mine", Details: map[string]any{
			"executionId": "exe_1", "language": "javascript", "status": "failed", "exitCode": 1, "wallMs": int64(2),
		}}}},
		"one that may not": {&pyth.Program{Code: "x"}, pyth.Errorf(pyth.CodeForbidden, ""), []pyth.AuditEvent{{
			Action: pyth.ActionCodeExecuted, Outcome: pyth.AuditDenied, Details: map[string]any{"language": "python", "codeSha256": ""},
		}}},
		"one in another's session": {&pyth.Program{Code: "x", Session: "s"}, pyth.Errorf(pyth.CodeNotFound, ""), []pyth.AuditEvent{{
			Action: pyth.ActionCodeExecuted, Outcome: pyth.AuditDenied, Details: map[string]any{"language": "python", "codeSha256": "", "sessionId": "s"},
		}}},
		"one without capacity": {locked, pyth.Errorf(pyth.CodeOverloaded, ""), []pyth.AuditEvent{{
			Action: pyth.ActionZKExecuted, Outcome: pyth.AuditFailure, Resource: "mine", Details: map[string]any{"language": "python"},
		}}},
		"one whose client disconnected": {locked, context.Canceled, []pyth.AuditEvent{{
			Action: pyth.ActionZKExecuted, Outcome: pyth.AuditFailure, Resource: "mine", Details: map[string]any{"language": "python"},
		}}},
		"a malformed one": {program, pyth.Invalid("body.code", ""), nil},
		"one too large":   {program, pyth.Errorf(pyth.CodeTooLarge, ""), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := new(recorder)
			s := audit.Executions(executions(func(*pyth.Program) (*pyth.Execution, error) {
				if c.err != nil {
					return nil, c.err
				}
				return ran, nil
			}), r)
			got, err := s.Execute(t.Context(), "ada", c.program, nil)
			if !errors.Is(err, c.err) || err == nil && got != ran {
				t.Errorf("%v, %v", got, err)
			}
			for i := range c.want {
				c.want[i].User = "ada"
			}
			for _, e := range r.events {
				if sum, ok := e.Details["codeSha256"].(string); ok {
					if len(sum) != 64 {
						t.Errorf("the hash is %q", sum)
					}
					e.Details["codeSha256"] = ""
				}
			}
			r.wants(t, c.want...)
		})
	}
	r := &recorder{err: errors.New("full")}
	s := audit.Executions(executions(func(*pyth.Program) (*pyth.Execution, error) { return ran, nil }), r)
	if got, err := s.Execute(t.Context(), "ada", program, nil); got != nil || pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("%v, %v", got, err)
	}
}

type sessionsOf struct {
	pyth.SessionService
	err error
}

func (s sessionsOf) OpenSession(context.Context, pyth.UserID, *pyth.SessionRequest) (*pyth.Session, error) {
	if s.err != nil {
		return nil, s.err
	}
	return &pyth.Session{ID: "ses_1", Language: pyth.Python}, nil
}

func (s sessionsOf) ChangeSession(_ context.Context, _ pyth.UserID, id pyth.SessionID, c *pyth.SessionChange) (*pyth.Session, error) {
	if s.err != nil {
		return nil, s.err
	}
	x := &pyth.Session{ID: id, Name: "data", IdleTimeout: time.Minute}
	if c.Labels != nil {
		x.Labels = *c.Labels
	}
	return x, nil
}

func (s sessionsOf) CloseSession(context.Context, pyth.UserID, pyth.SessionID) error { return s.err }

func TestSessionsRecordsOpeningAndClosing(t *testing.T) {
	r := new(recorder)
	good := audit.Sessions(sessionsOf{}, r)
	_, _ = good.OpenSession(t.Context(), "ada", nil)
	_ = good.CloseSession(t.Context(), "ada", "ses_1")
	r.wants(t,
		pyth.AuditEvent{User: "ada", Action: pyth.ActionSessionCreated, Outcome: pyth.AuditSuccess, Resource: "ses_1", Details: map[string]any{"language": "python"}},
		pyth.AuditEvent{User: "ada", Action: pyth.ActionSessionDeleted, Outcome: pyth.AuditSuccess, Resource: "ses_1"})
	_, _ = audit.Sessions(sessionsOf{err: pyth.Errorf(pyth.CodeConflict, "")}, r).OpenSession(t.Context(), "ada", nil)
	_ = audit.Sessions(sessionsOf{err: pyth.Errorf(pyth.CodeNotFound, "")}, r).CloseSession(t.Context(), "ada", "ses_2")
	r.wants(t,
		pyth.AuditEvent{User: "ada", Action: pyth.ActionSessionCreated, Outcome: pyth.AuditFailure},
		pyth.AuditEvent{User: "ada", Action: pyth.ActionSessionDeleted, Outcome: pyth.AuditDenied, Resource: "ses_2"})
}

func TestSessionsRecordsChanges(t *testing.T) {
	r := new(recorder)
	name, labels, idle := "data", []string{"ci"}, time.Minute
	good := audit.Sessions(sessionsOf{}, r)
	_, _ = good.ChangeSession(t.Context(), "ada", "ses_1", &pyth.SessionChange{Name: &name, Labels: &labels, IdleTimeout: &idle})
	_, _ = good.ChangeSession(t.Context(), "ada", "ses_1", &pyth.SessionChange{})
	_, _ = audit.Sessions(sessionsOf{err: pyth.Errorf(pyth.CodeNotFound, "")}, r).ChangeSession(t.Context(), "ada", "ses_2", &pyth.SessionChange{Name: &name})
	r.wants(t,
		pyth.AuditEvent{
			User: "ada", Action: pyth.ActionSessionUpdated, Outcome: pyth.AuditSuccess, Resource: "ses_1",
			Details: map[string]any{"name": "data", "labels": []string{"ci"}, "idleTimeoutMs": int64(60_000)},
		},
		pyth.AuditEvent{User: "ada", Action: pyth.ActionSessionUpdated, Outcome: pyth.AuditSuccess, Resource: "ses_1", Details: map[string]any{}},
		pyth.AuditEvent{User: "ada", Action: pyth.ActionSessionUpdated, Outcome: pyth.AuditDenied, Resource: "ses_2"})
}

type secretsOf struct {
	pyth.SecretService
	created bool
	err     error
}

func (s secretsOf) PutSecret(_ context.Context, _ pyth.UserID, name string, _ []byte, _ string) (*pyth.Secret, bool, error) {
	if s.err != nil {
		return nil, false, s.err
	}
	return &pyth.Secret{Name: name, Version: 3}, s.created, nil
}

func (s secretsOf) DeleteSecret(context.Context, pyth.UserID, string) error { return s.err }

func TestSecretsRecordsChanges(t *testing.T) {
	r := new(recorder)
	put := func(s secretsOf) {
		_, _, _ = audit.Secrets(s, r).PutSecret(t.Context(), "ada", "KEY", []byte("canary"), "canary")
	}
	put(secretsOf{created: true})
	put(secretsOf{})
	put(secretsOf{err: pyth.Errorf(pyth.CodeReservedName, "")})
	put(secretsOf{err: pyth.Invalid("path.name", "")})
	_ = audit.Secrets(secretsOf{}, r).DeleteSecret(t.Context(), "ada", "KEY")
	of := func(action pyth.Action, outcome pyth.AuditOutcome, details map[string]any) pyth.AuditEvent {
		return pyth.AuditEvent{User: "ada", Action: action, Outcome: outcome, Resource: "KEY", Details: details}
	}
	r.wants(t,
		of(pyth.ActionSecretCreated, pyth.AuditSuccess, map[string]any{"version": 3}),
		of(pyth.ActionSecretUpdated, pyth.AuditSuccess, map[string]any{"version": 3}),
		of(pyth.ActionSecretUpdated, pyth.AuditDenied, nil),
		of(pyth.ActionSecretDeleted, pyth.AuditSuccess, nil))
}

type secretSource struct {
	values []pyth.SecretValue
	err    error
}

func (s secretSource) Reveal(context.Context, pyth.UserID, pyth.ExecutionID, pyth.SecretRequest) (pyth.SecretGrant, error) {
	return pyth.SecretGrant{Values: s.values}, s.err
}

func TestSecretSourceRecordsUse(t *testing.T) {
	values := func(names ...string) (all []pyth.SecretValue) {
		for _, n := range names {
			all = append(all, pyth.SecretValue{Name: n, Value: []byte("canary")})
		}
		return all
	}
	of := func(outcome pyth.AuditOutcome, resource string, names ...string) []pyth.AuditEvent {
		return []pyth.AuditEvent{{
			User: "ada", Action: pyth.ActionSecretUsed, Outcome: outcome, Resource: resource,
			Details: map[string]any{"executionId": "exe_1", "names": names},
		}}
	}
	broken := pyth.Errorf(pyth.CodeInternal, "")
	for name, c := range map[string]struct {
		source secretSource
		names  []string
		all    bool
		want   []pyth.AuditEvent
	}{
		"one":                      {secretSource{values: values("A")}, []string{"A"}, false, of(pyth.AuditSuccess, "A", "A")},
		"two":                      {secretSource{values: values("A", "B")}, []string{"A", "B"}, false, of(pyth.AuditSuccess, "", "A", "B")},
		"all":                      {secretSource{values: values("A", "B")}, nil, true, of(pyth.AuditSuccess, "", "A", "B")},
		"none":                     {secretSource{}, []string{}, false, nil},
		"all secrets, none stored": {secretSource{}, nil, true, nil},
		"unknown":                  {secretSource{err: pyth.Invalid("body.secrets", "")}, []string{"X"}, false, nil},
		"a broken one":             {secretSource{err: broken}, []string{"A"}, false, of(pyth.AuditFailure, "A", "A")},
		"all, one broken":          {secretSource{err: broken}, nil, true, of(pyth.AuditFailure, "")},
	} {
		t.Run(name, func(t *testing.T) {
			r := new(recorder)
			got, err := audit.SecretSource(c.source, r).Reveal(t.Context(), "ada", "exe_1", pyth.SecretRequest{Names: c.names, All: c.all})
			if !errors.Is(err, c.source.err) || len(got.Values) != len(c.source.values) {
				t.Errorf("%v, %v", got, err)
			}
			if err := got.Await(); err != nil {
				t.Error(err)
			}
			r.wants(t, c.want...)
		})
	}
}

// heldStore is a store in which each write waits until the channel "release" is closed.
// If the field "failure" is set, each write fails after this wait.
type heldStore struct {
	pyth.AuditStore
	release <-chan struct{}
	failure error
}

func (s *heldStore) AppendAudit(ctx context.Context, records []*pyth.AuditRecord, checkpoint []byte) error {
	<-s.release
	if s.failure != nil {
		return s.failure
	}
	return s.AuditStore.AppendAudit(ctx, records, checkpoint)
}

func TestSecretSourceGrantWaitsForTheEntry(t *testing.T) {
	for name, failure := range map[string]error{"that is written": nil, "that cannot be written": errors.New("full")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				goOn := make(chan struct{})
				l, err := log.Open(t.Context(), log.Config{
					Store: &heldStore{newStore(t), goOn, failure}, Seed: seed, Clock: time.Now,
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = l.Close() })
				source := secretSource{values: []pyth.SecretValue{{Name: "A", Value: []byte("canary")}}}
				grant, err := audit.SecretSource(source, l).Reveal(t.Context(), "ada", "exe_1", pyth.SecretRequest{All: true})
				if err != nil || len(grant.Values) != 1 {
					t.Fatalf("%v, %v", grant.Values, err)
				}
				told := make(chan error)
				for range 2 {
					go func() { told <- grant.Await() }()
				}
				synctest.Wait()
				select {
				case err := <-told:
					t.Fatalf("Await returned before the entry was written: %v", err)
				default:
				}
				close(goOn)
				for range 2 {
					if err := <-told; !errors.Is(err, failure) || failure != nil && pyth.ErrorCode(err) != pyth.CodeUnavailable {
						t.Errorf("got %v", err)
					}
				}
			})
		})
	}
}

type zkOf struct {
	pyth.EncryptedService
	err error
}

func (z zkOf) StoreCode(context.Context, pyth.UserID, string, *pyth.EncryptedProgram) (*pyth.StoredProgram, bool, error) {
	if z.err != nil {
		return nil, false, z.err
	}
	return &pyth.StoredProgram{SizeBytes: 17}, true, nil
}

func (z zkOf) DeleteCode(context.Context, pyth.UserID, string) error { return z.err }

func TestEncryptedProgramsRecordsChanges(t *testing.T) {
	r := new(recorder)
	code := &pyth.EncryptedProgram{Language: pyth.Python, Ciphertext: []byte("canary")}
	_, _, _ = audit.EncryptedPrograms(zkOf{}, r).StoreCode(t.Context(), "ada", "mine", code)
	_ = audit.EncryptedPrograms(zkOf{err: pyth.Errorf(pyth.CodeNotFound, "")}, r).DeleteCode(t.Context(), "ada", "mine")
	r.wants(t,
		pyth.AuditEvent{
			User: "ada", Action: pyth.ActionZKStored, Outcome: pyth.AuditSuccess, Resource: "mine",
			Details: map[string]any{"language": "python", "created": true, "sizeBytes": int64(17)},
		},
		pyth.AuditEvent{User: "ada", Action: pyth.ActionZKDeleted, Outcome: pyth.AuditDenied, Resource: "mine"})
}

type packagesOf struct {
	pyth.PackageService
	change *pyth.PackageChange
	err    error
}

func (p packagesOf) SetPackages(context.Context, pyth.UserID, pyth.Language, []string, pyth.PackageProgress) (*pyth.PackageChange, error) {
	return p.change, p.err
}

func (p packagesOf) AddPackage(context.Context, pyth.UserID, pyth.Language, string, pyth.PackageProgress) (*pyth.PackageChange, error) {
	return p.change, p.err
}

func (p packagesOf) RemovePackage(context.Context, pyth.UserID, pyth.Language, string) (*pyth.PackageChange, error) {
	return p.change, p.err
}

func TestPackagesRecordsChanges(t *testing.T) {
	r := new(recorder)
	call := func(next packagesOf, language pyth.Language) {
		s := audit.Packages(next, r)
		_, _ = s.SetPackages(t.Context(), "ada", language, []string{"x"}, nil)
		_, _ = s.AddPackage(t.Context(), "ada", language, "x", nil)
		_, _ = s.RemovePackage(t.Context(), "ada", language, "x")
	}
	three := func(outcome pyth.AuditOutcome, details map[string]any) []pyth.AuditEvent {
		return slices.Repeat([]pyth.AuditEvent{{User: "ada", Action: pyth.ActionPackagesChanged, Outcome: outcome, Details: details}}, 3)
	}
	for name, c := range map[string]struct {
		next     packagesOf
		language pyth.Language
		want     []pyth.AuditEvent
	}{
		"a change": {
			packagesOf{change: &pyth.PackageChange{Language: pyth.JavaScript, Added: []string{"x 2"}, Removed: []string{"x 1"}}},
			"",
			three(pyth.AuditSuccess, map[string]any{"language": "javascript", "added": []string{"x 2"}, "removed": []string{"x 1"}}),
		},
		"nothing to change": {
			packagesOf{change: &pyth.PackageChange{Language: pyth.Python}},
			pyth.Python,
			three(pyth.AuditSuccess, map[string]any{"language": "python", "added": []string(nil), "removed": []string(nil)}),
		},
		"missing package": {
			packagesOf{err: pyth.Errorf(pyth.CodeNotFound, "")},
			"",
			three(pyth.AuditDenied, map[string]any{"language": "python", "reason": "not_found"}),
		},
		"a failure": {
			packagesOf{err: pyth.Errorf(pyth.CodeUnsatisfiable, "")},
			pyth.TypeScript,
			three(pyth.AuditFailure, map[string]any{"language": "javascript", "reason": "unsatisfiable"}),
		},
		"a malformed requirement": {packagesOf{err: pyth.Errorf(pyth.CodeInvalidRequirement, "")}, pyth.Python, nil},
	} {
		t.Run(name, func(t *testing.T) {
			call(c.next, c.language)
			if diff := cmp.Diff(c.want, r.take()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	r.err = errors.New("full")
	if change, err := audit.Packages(packagesOf{change: &pyth.PackageChange{}}, r).SetPackages(t.Context(), "ada", pyth.Python, nil, nil); change != nil || pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("without an entry: %v, %v", change, err)
	}
}

type generationsOf struct {
	result *pyth.Generation
	err    error
}

func (g generationsOf) Generate(context.Context, pyth.UserID, *pyth.GenerateRequest, pyth.GenerateEvents) (*pyth.Generation, error) {
	return g.result, g.err
}

func TestGenerationsRecordsOutcomes(t *testing.T) {
	r := new(recorder)
	work := func() *pyth.Generation { return &pyth.Generation{ID: "gen", Calls: 1} }
	stopped := work()
	stopped.Stopped = pyth.Errorf(pyth.CodeOverloaded, "")
	for name, c := range map[string]struct {
		next   generationsOf
		want   pyth.AuditOutcome
		status any
	}{
		"an answer":               {generationsOf{result: work()}, pyth.AuditSuccess, "not_executed"},
		"one that was stopped":    {generationsOf{result: stopped}, pyth.AuditFailure, "not_executed"},
		"another's session":       {generationsOf{err: pyth.Errorf(pyth.CodeNotFound, "")}, pyth.AuditDenied, "not_found"},
		"an exhausted budget":     {generationsOf{work(), pyth.Errorf(pyth.CodeTokenBudget, "")}, pyth.AuditDenied, "token_budget_exhausted"},
		"a failure of the model":  {generationsOf{work(), pyth.Errorf(pyth.CodeLLMFailed, "")}, pyth.AuditFailure, "llm_failed"},
		"a model that is unknown": {generationsOf{work(), pyth.Invalid("body.model", "")}, pyth.AuditFailure, "invalid_request"},
		"a malformed request":     {generationsOf{err: pyth.Invalid("body.prompt", "")}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := audit.Generations(c.next, r, "7").Generate(t.Context(), "ada", &pyth.GenerateRequest{Prompt: "p"}, nil)
			if !errors.Is(err, c.next.err) || err != nil && got != nil {
				t.Errorf("returned %v, %v", got, err)
			}
			events := r.take()
			if c.want == "" {
				if len(events) != 0 {
					t.Errorf("recorded %+v", events)
				}
				return
			}
			if len(events) != 1 || events[0].Outcome != c.want || events[0].Details["status"] != c.status || events[0].Details["promptVersion"] != "7" {
				t.Errorf("recorded %+v", events)
			}
		})
	}
	r.err = errors.New("full")
	for _, next := range []generationsOf{{result: work()}, {work(), pyth.Errorf(pyth.CodeLLMFailed, "")}} {
		if got, err := audit.Generations(next, r, "7").Generate(t.Context(), "ada", &pyth.GenerateRequest{}, nil); got != nil || pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Errorf("without an entry: %v, %v", got, err)
		}
	}
}

type recordsOf struct {
	pyth.RecordService
	err error
}

func (s recordsOf) CancelExecution(context.Context, pyth.UserID, pyth.ExecutionID) (*pyth.RecordedExecution, error) {
	return &pyth.RecordedExecution{}, s.err
}

func (s recordsOf) DeleteExecution(context.Context, pyth.UserID, pyth.ExecutionID) error {
	return s.err
}

func TestRecordsRecordsCancellationAndDeletion(t *testing.T) {
	r := new(recorder)
	for err, outcome := range map[error]pyth.AuditOutcome{
		nil: pyth.AuditSuccess, pyth.Errorf(pyth.CodeNotFound, ""): pyth.AuditDenied, pyth.Errorf(pyth.CodeConflict, ""): pyth.AuditFailure,
	} {
		s := audit.Records(recordsOf{err: err}, r)
		_, _ = s.CancelExecution(t.Context(), "ada", "exe_1")
		_ = s.DeleteExecution(t.Context(), "ada", "exe_1")
		r.wants(t,
			pyth.AuditEvent{User: "ada", Action: pyth.ActionExecutionCanceled, Outcome: outcome, Resource: "exe_1"},
			pyth.AuditEvent{User: "ada", Action: pyth.ActionExecutionDeleted, Outcome: outcome, Resource: "exe_1"})
	}
	r.err = errors.New("full")
	if got, err := audit.Records(recordsOf{}, r).CancelExecution(t.Context(), "ada", "exe_1"); got != nil || pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("%v, %v", got, err)
	}
}

// failingFactors is a fake SecondFactorService. All its methods return the error in the
// field "err".
type failingFactors struct{ err error }

func (x failingFactors) SecondFactor(context.Context, *pyth.Principal) (*pyth.SecondFactor, error) {
	return nil, x.err
}

func (x failingFactors) Enroll(context.Context, *pyth.Principal, string, string) (*pyth.Enrollment, error) {
	return &pyth.Enrollment{Secret: "canary"}, x.err
}

func (x failingFactors) Confirm(context.Context, *pyth.Principal, string) ([]string, error) {
	return []string{"canary"}, x.err
}

func (x failingFactors) ReplaceRecoveryCodes(context.Context, *pyth.Principal, string, string) ([]string, error) {
	return []string{"canary"}, x.err
}

func (x failingFactors) Remove(context.Context, *pyth.Principal, string, string) error { return x.err }

func TestSecondFactorsRecordsActions(t *testing.T) {
	p := &pyth.Principal{User: pyth.User{ID: "ada"}}
	for code, outcome := range map[pyth.Code]pyth.AuditOutcome{
		"": pyth.AuditSuccess, pyth.CodeInvalidSecondFactor: pyth.AuditDenied, pyth.CodeRateLimited: pyth.AuditDenied, pyth.CodeConflict: pyth.AuditFailure,
	} {
		r := new(recorder)
		next := failingFactors{}
		if code != "" {
			next.err = pyth.Errorf(code, "")
		}
		s := audit.SecondFactors(next, r)
		_, _ = s.SecondFactor(t.Context(), p)
		secret, _ := s.Enroll(t.Context(), p, password, "Pyth-On")
		first, _ := s.Confirm(t.Context(), p, "123456")
		second, _ := s.ReplaceRecoveryCodes(t.Context(), p, password, "123456")
		_ = s.Remove(t.Context(), p, password, "123456")
		var all []pyth.AuditEvent
		for _, action := range []pyth.Action{pyth.ActionTOTPCreated, pyth.ActionTOTPEnabled, pyth.ActionRecoveryCodes, pyth.ActionTOTPDisabled} {
			all = append(all, pyth.AuditEvent{User: "ada", Action: action, Outcome: outcome})
		}
		r.wants(t, all...)
		if failed := secret == nil && first == nil && second == nil; failed != (code != "") {
			t.Errorf("%q: got %v, %v, %v", code, secret, first, second)
		}
	}
}

func TestAccountsRecordsTheSecondFactor(t *testing.T) {
	r := new(recorder)
	s := audit.Accounts(loginWith{g: &pyth.Grant{User: pyth.User{ID: "ada"}, SecondFactor: pyth.SecondFactorRecovery}}, r)
	_, _ = s.Login(t.Context(), email, password, "code")
	s = audit.Accounts(loginWith{err: &pyth.Error{Code: pyth.CodeInvalidSecondFactor, Err: &pyth.CredentialError{User: "ada"}}}, r)
	_, _ = s.Login(t.Context(), email, password, "code")
	r.wants(t,
		pyth.AuditEvent{User: "ada", Action: pyth.ActionUserLogin, Outcome: pyth.AuditSuccess, Details: map[string]any{"secondFactor": "recovery_code"}},
		pyth.AuditEvent{User: "ada", Action: pyth.ActionUserLogin, Outcome: pyth.AuditDenied, Details: map[string]any{"secondFactor": "invalid_second_factor"}})
}

// loginWith is a fake AccountService. Its method Login returns the values of the fields.
type loginWith struct {
	pyth.AccountService
	g   *pyth.Grant
	err error
}

func (l loginWith) Login(context.Context, string, string, string) (*pyth.Grant, error) {
	return l.g, l.err
}
