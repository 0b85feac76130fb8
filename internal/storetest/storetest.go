// Package storetest tests implementations of pyth.Store. All implementations must
// pass the same tests.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

var start = time.Date(2026, 4, 4, 8, 23, 21, 123456000, time.UTC)

// Run runs all tests. For each test, it calls the function "open" to get a new, empty
// store. At the end of the test, it closes the store.
func Run(t *testing.T, open func(t *testing.T) pyth.Store) {
	for name, test := range map[string]func(*testing.T, pyth.Store){
		"a user is found as stored":                                      testUserIsFound,
		"e-mail addresses are compared without case":                     testEmailCase,
		"creating a user is atomic":                                      testCreateIsAtomic,
		"concurrent registrations of one e-mail address succeed once":    testRegistrationRace,
		"absent entries are not found":                                   testAbsent,
		"a password hash is replaced only if it is unchanged":            testPasswordHash,
		"a changed password revokes all refresh tokens":                  testChangePassword,
		"a key is found by its hash, with its user":                      testKeyByHash,
		"keys are listed in pages, oldest first":                         testKeyPages,
		"a key of another user is not found":                             testForeignKey,
		"the primary key is the oldest sealed key":                       testPrimaryKey,
		"a key is changed in part":                                       testUpdateKey,
		"logins are listed by their latest token":                        testLogins,
		"an e-mail address is replaced if it is free":                    testSetEmail,
		"a changed password or address deletes reset tokens":             testChangeDeletesResetTokens,
		"a reset token is used once":                                     testUseResetToken,
		"a reset of an unconfirmed account removes all access":           testResetOfUnconfirmedAccount,
		"a mailed reset token confirms the address":                      testMailedResetToken,
		"a confirmation of an e-mail address is used once":               testEmailConfirmation,
		"a confirmation is valid only for its e-mail address":            testConfirmationOfEarlierAddress,
		"an administrator confirms an e-mail address":                    testAdminConfirmsEmail,
		"concurrent uses of a confirmation succeed once":                 testConfirmationRace,
		"a second factor is activated once and deleted":                  testSecondFactor,
		"a time step and a recovery code are used once":                  testTOTPSteps,
		"attempts with codes are limited":                                testSecondFactorAttempts,
		"a person is linked to one account":                              testIdentities,
		"a sign-in is used once":                                         testSignIns,
		"an account and its identity are created together":               testIdentifiedUser,
		"concurrent uses of a reset token succeed once":                  testResetTokenRace,
		"the last use of existing keys is stored":                        testKeysUsed,
		"a refresh token is used once":                                   testRotate,
		"concurrent rotations of one token succeed once":                 testRotationRace,
		"a lost new token can be replaced until the family ends":         testSuccessor,
		"revoking a family keeps other families":                         testRevoke,
		"a family ends when its last token expires or is revoked":        testFamilyActive,
		"a token cannot outlive a concurrent revocation":                 testRevocationRace,
		"only expired tokens are deleted":                                testExpired,
		"data keys are listed in pages":                                  testDataKeys,
		"data keys are rewrapped, and none keeps its old root key":       testRewrap,
		"a server key is created once":                                   testServerKeys,
		"a secret has consecutive versions":                              testSecretVersions,
		"the number of secrets of a user is limited":                     testSecretLimit,
		"the last use of existing secrets is stored":                     testSecretsUsed,
		"a secret of another user is not found":                          testForeignSecret,
		"audit records are only appended":                                testAuditAppend,
		"pages of the audit log match the filter":                        testAuditPages,
		"a pruned audit record keeps its hashes":                         testAuditPrune,
		"an erased audit record keeps its hashes and its time":           testAuditErase,
		"all rows of a deleted user are deleted":                         testDeleteUserRows,
		"an encrypted program is found as stored":                        testCode,
		"replacing an encrypted program keeps its creation and last use": testReplaceCode,
		"encrypted programs are listed by name and per user":             testCodes,
		"an encrypted program beyond the limit is refused":               testTooMuchCode,
		"concurrent encrypted programs stay within the limit":            testCodeRace,
		"a package list is replaced as a whole, by its next revision":    testPackageList,
		"concurrent changes of a package list succeed once":              testPackageListRace,
		"a canceled call returns and changes nothing":                    testCanceled,
		"a closed store returns errors":                                  testClosed,
		"tokens are taken up to the limit and returned":                  testTokenBudget,
		"each day has its own token budget":                              testTokenBudgetOfADay,
		"concurrent calls take no tokens beyond the limit":               testTokenBudgetRace,
		"a record of a run is found as stored":                           testExecution,
		"a record changes until the run ends":                            testExecutionChanges,
		"a record of another user is not found":                          testForeignExecution,
		"records are filtered and listed in pages":                       testExecutions,
		"a record is deleted after the end of the run":                   testDeleteExecution,
		"records that have not ended are listed for all users":           testUnendedExecutions,
		"the content of old runs expires":                                testExpireContents,
		"old records are deleted":                                        testDeleteOldExecutions,
		"one of several concurrent ends of a run is stored":              testExecutionEndRace,
		"queued runs are claimed per user, oldest first":                 testClaims,
		"a queued run starts once":                                       testStartExecution,
		"concurrent servers claim and start each run once":               testClaimRace,
		"the queue of a user is limited":                                 testQueueLimits,
		"concurrent requests stay within the limit of the queue":         testQueueRace,
		"a queued run can be canceled until it starts":                   testCancelExecution,
		"an idempotent request begins once and keeps its answer":         testIdempotentRequest,
		"concurrent idempotent requests begin once":                      testIdempotentRequestRace,
		"runs of lost servers are found":                                 testLostExecutions,
		"each run is counted once, when it ends":                         testUsageCountsOnce,
		"usage is grouped by day, language or key":                       testUsageGroups,
		"usage contains the contents that are stored now":                testUsageStorage,
		"concurrent ends of runs are all counted":                        testUsageRace,
		"tokens of models are counted":                                   testUsageTokens,
		"webhooks are listed per user and limited":                       testWebhooks,
		"the start and the end of a run create deliveries once":          testDeliveriesOfRecords,
		"a delivery keeps its payload until its last attempt":            testDelivery,
		"queued runs create deliveries too":                              testDeliveriesOfQueue,
		"users are searched and listed in pages":                         testUsers,
		"a user is changed, and a disabled user is logged out":           testUpdateUser,
		"an enabled administrator always remains":                        testLastAdmin,
		"concurrent changes keep an enabled administrator":               testLastAdminRace,
		"the stored size of each user is counted":                        testStorageBytes,
		"active runs of all users are listed":                            testActiveExecutions,
		"an invite is used once":                                         testInvites,
		"concurrent registrations use an invite once":                    testInviteRace,
		"a setup code creates the first administrator only":              testSetupInvite,
		"a new reset token replaces the earlier one":                     testResetToken,
		"statistics count the objects of all users":                      testStats,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { _ = s.Close() })
			test(t, s)
		})
	}
}

// account contains the arguments of CreateUser.
type account struct {
	user *pyth.User
	key  *pyth.APIKey
	data *pyth.DataKey
}

func newAccount(id string) account {
	u := pyth.UserID(id)
	return account{
		&pyth.User{ID: u, Email: id + "@example.org", PasswordHash: "hash of " + id, CreatedAt: start, Role: pyth.RoleUser},
		&pyth.APIKey{ID: pyth.KeyID("key-0-of-" + id), UserID: u, Name: "first", Prefix: "pyapi_", Hash: hash(id), Sealed: []byte("sealed\x00" + id), CreatedAt: start},
		&pyth.DataKey{UserID: u, Version: 3, Wrapped: pyth.WrappedKey{RootKey: "root", Bytes: []byte("wrapped\x00" + id)}},
	}
}

func create(t *testing.T, s pyth.Store, id string) account {
	t.Helper()
	a := newAccount(id)
	if err := s.CreateUser(t.Context(), a.user, a.key, a.data); err != nil {
		t.Fatal(err)
	}
	return a
}

func hash(s string) (h [32]byte) {
	copy(h[:], s)
	return h
}

func token(user pyth.UserID, family, name string) *pyth.RefreshToken {
	return &pyth.RefreshToken{
		Hash: hash(name), FamilyID: family, UserID: user, IssuedAt: start, ExpiresAt: start.Add(time.Hour),
	}
}

func createToken(t *testing.T, s pyth.Store, token *pyth.RefreshToken) *pyth.RefreshToken {
	t.Helper()
	if err := s.CreateRefreshToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	return token
}

// The function "want" checks that err has the given code. The code "" means that err
// must be nil.
func want(t *testing.T, err error, code pyth.Code) {
	t.Helper()
	if pyth.ErrorCode(err) != code {
		t.Errorf("got %v, want code %q", err, code)
	}
}

func same[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func testUserIsFound(t *testing.T, s pyth.Store) {
	a := create(t, s, "ada")
	u, err := s.User(t.Context(), "ada")
	want(t, err, "")
	same(t, a.user, u)
	u, err = s.UserByEmail(t.Context(), "ada@example.org")
	want(t, err, "")
	same(t, a.user, u)
	d, err := s.DataKey(t.Context(), "ada")
	want(t, err, "")
	same(t, a.data, d)
	want(t, s.Ping(t.Context()), "")
	for range 2 {
		want(t, s.CheckWrite(t.Context()), "")
	}
}

func testEmailCase(t *testing.T, s pyth.Store) {
	a := newAccount("ada")
	a.user.Email = "Ada.Ünal@example.org"
	want(t, s.CreateUser(t.Context(), a.user, a.key, a.data), "")
	for _, email := range []string{"Ada.Ünal@example.org", "ada.ünal@example.org", "ADA.ÜNAL@EXAMPLE.ORG"} {
		u, err := s.UserByEmail(t.Context(), email)
		want(t, err, "")
		same(t, a.user, u)
	}
	b := newAccount("other")
	b.user.Email = "ADA.ünal@example.org"
	want(t, s.CreateUser(t.Context(), b.user, b.key, b.data), pyth.CodeEmailTaken)
}

func testCreateIsAtomic(t *testing.T, s pyth.Store) {
	a := create(t, s, "ada")
	b := newAccount("bob")
	b.key.Hash = a.key.Hash // The hash already exists, so the last of the three writes fails.
	if err := s.CreateUser(t.Context(), b.user, b.key, b.data); err == nil {
		t.Fatal("two keys with the same hash were stored")
	}
	_, err := s.User(t.Context(), "bob")
	want(t, err, pyth.CodeNotFound)
	_, err = s.DataKey(t.Context(), "bob")
	want(t, err, pyth.CodeNotFound)
	create(t, s, "bob")
}

// race makes n concurrent calls of f. It returns the number of calls for each error
// code.
func race(n int, f func(i int) error) map[pyth.Code]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	codes := make(map[pyth.Code]int)
	for i := range n {
		wg.Go(func() {
			code := pyth.ErrorCode(f(i))
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	wg.Wait()
	return codes
}

func testRegistrationRace(t *testing.T, s pyth.Store) {
	got := race(8, func(i int) error {
		a := newAccount(fmt.Sprintf("user-%d", i))
		a.user.Email = "one@example.org"
		return s.CreateUser(t.Context(), a.user, a.key, a.data)
	})
	same(t, map[pyth.Code]int{"": 1, pyth.CodeEmailTaken: 7}, got)
}

func testAbsent(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	_, err := s.User(ctx, "nobody")
	want(t, err, pyth.CodeNotFound)
	_, err = s.UserByEmail(ctx, "nobody@example.org")
	want(t, err, pyth.CodeNotFound)
	_, _, err = s.APIKeyByHash(ctx, hash("nothing"))
	want(t, err, pyth.CodeNotFound)
	_, err = s.PrimaryAPIKey(ctx, "nobody")
	want(t, err, pyth.CodeNotFound)
	_, err = s.RefreshToken(ctx, hash("nothing"))
	want(t, err, pyth.CodeNotFound)
	_, err = s.DataKey(ctx, "nobody")
	want(t, err, pyth.CodeNotFound)
	want(t, s.DeleteAPIKey(ctx, "nobody", "nothing"), pyth.CodeNotFound)
	want(t, s.SetPasswordHash(ctx, "nobody", "a", "b"), pyth.CodeNotFound)
	want(t, s.ChangePassword(ctx, "nobody", "a", "b"), pyth.CodeNotFound)
	want(t, s.RevokeFamily(ctx, "nobody", "none"), "")
	want(t, s.RevokeAll(ctx, "nobody"), "")
	want(t, s.DeleteExpiredRefreshTokens(ctx, start), "")
	keys, err := s.APIKeys(ctx, "nobody", "", 10)
	want(t, err, "")
	if len(keys) != 0 {
		t.Errorf("got %v", keys)
	}
}

func testPasswordHash(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a := create(t, s, "ada")
	createToken(t, s, token("ada", "family", "token"))
	want(t, s.SetPasswordHash(ctx, "ada", "stale", "evil"), pyth.CodeConflict)
	want(t, s.SetPasswordHash(ctx, "ada", a.user.PasswordHash, "better"), "")
	want(t, s.SetPasswordHash(ctx, "ada", a.user.PasswordHash, "evil"), pyth.CodeConflict)
	u, err := s.User(ctx, "ada")
	want(t, err, "")
	if u.PasswordHash != "better" {
		t.Errorf("got %q", u.PasswordHash)
	}
	// SetPasswordHash stores a new hash of the same password, so it revokes no tokens.
	_, err = s.RefreshToken(ctx, hash("token"))
	want(t, err, "")
}

func testChangePassword(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a, b := create(t, s, "ada"), create(t, s, "bob")
	createToken(t, s, token("ada", "one", "a"))
	createToken(t, s, token("ada", "two", "b"))
	createToken(t, s, token("bob", "three", "c"))
	want(t, s.ChangePassword(ctx, "ada", "stale", "evil"), pyth.CodeConflict)
	_, err := s.RefreshToken(ctx, hash("a"))
	want(t, err, "")
	want(t, s.ChangePassword(ctx, "ada", a.user.PasswordHash, "new"), "")
	for name, code := range map[string]pyth.Code{"a": pyth.CodeNotFound, "b": pyth.CodeNotFound, "c": ""} {
		_, err := s.RefreshToken(ctx, hash(name))
		want(t, err, code)
	}
	u, err := s.User(ctx, "bob")
	want(t, err, "")
	same(t, b.user, u)
}

func testKeyByHash(t *testing.T, s pyth.Store) {
	a := create(t, s, "ada")
	create(t, s, "bob")
	second := &pyth.APIKey{
		ID: "key-1", UserID: "ada", Name: "\"quoted\" ключ", Prefix: "pyapi_x", Hash: hash("second"),
		CreatedAt: start, ExpiresAt: start.Add(time.Hour), Scopes: []pyth.Scope{pyth.ScopeExecute, pyth.ScopeAdmin}, LastUsedAt: start,
	}
	want(t, s.CreateAPIKey(t.Context(), second), "")
	for _, key := range []*pyth.APIKey{a.key, second} {
		k, u, err := s.APIKeyByHash(t.Context(), key.Hash)
		want(t, err, "")
		same(t, key, k)
		same(t, a.user, u)
	}
}

func testKeyPages(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "bob")
	all := []*pyth.APIKey{create(t, s, "ada").key}
	for i := range 5 {
		k := &pyth.APIKey{ID: pyth.KeyID(fmt.Sprintf("key-%d", i+1)), UserID: "ada", Name: "n", Prefix: "p", Hash: hash(fmt.Sprint(i)), CreatedAt: start}
		want(t, s.CreateAPIKey(ctx, k), "")
		all = append(all, k)
	}
	var got []*pyth.APIKey
	after := pyth.KeyID("")
	for _, size := range []int{2, 2, 2, 0} {
		page, err := s.APIKeys(ctx, "ada", after, 2)
		want(t, err, "")
		if len(page) != size {
			t.Fatalf("got a page of %d keys, want %d", len(page), size)
		}
		if size > 0 {
			got, after = append(got, page...), page[size-1].ID
		}
	}
	same(t, all, got)
}

func testForeignKey(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a := create(t, s, "ada")
	create(t, s, "bob")
	foreign, absent := s.DeleteAPIKey(ctx, "bob", a.key.ID), s.DeleteAPIKey(ctx, "bob", "absent")
	want(t, foreign, pyth.CodeNotFound)
	if foreign == nil || absent == nil || foreign.Error() != absent.Error() {
		t.Errorf("the error for a foreign key %q differs from that for an absent key %q", foreign, absent)
	}
	want(t, s.DeleteAPIKey(ctx, "ada", a.key.ID), "")
	want(t, s.DeleteAPIKey(ctx, "ada", a.key.ID), pyth.CodeNotFound)
	_, _, err := s.APIKeyByHash(ctx, a.key.Hash)
	want(t, err, pyth.CodeNotFound)
}

func testPrimaryKey(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a := create(t, s, "ada")
	want(t, s.CreateAPIKey(ctx, &pyth.APIKey{ID: "a-not-sealed", UserID: "ada", Hash: hash("1"), CreatedAt: start}), "")
	want(t, s.CreateAPIKey(ctx, &pyth.APIKey{ID: "z-later", UserID: "ada", Hash: hash("2"), Sealed: []byte("s"), CreatedAt: start}), "")
	k, err := s.PrimaryAPIKey(ctx, "ada")
	want(t, err, "")
	same(t, a.key, k)
}

func testRotate(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	first := createToken(t, s, token("ada", "family", "first"))
	second := token("ada", "family", "second")
	at := start.Add(time.Minute)
	want(t, s.RotateRefreshToken(ctx, first.Hash, hash("client"), at, second), "")
	spent, err := s.RefreshToken(ctx, first.Hash)
	want(t, err, "")
	first.SpentAt, first.ClientHash = at, hash("client")
	same(t, first, spent)
	fresh, err := s.RefreshToken(ctx, second.Hash)
	want(t, err, "")
	same(t, second, fresh)
	want(t, s.RotateRefreshToken(ctx, first.Hash, hash("thief"), at, token("ada", "family", "third")), pyth.CodeConflict)
	_, err = s.RefreshToken(ctx, hash("third"))
	want(t, err, pyth.CodeNotFound)
	want(t, s.RotateRefreshToken(ctx, hash("absent"), hash("client"), at, token("ada", "family", "third")), pyth.CodeNotFound)
}

func testRotationRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	first := createToken(t, s, token("ada", "family", "first"))
	got := race(8, func(i int) error {
		return s.RotateRefreshToken(t.Context(), first.Hash, hash("client"), start, token("ada", "family", fmt.Sprint("next", i)))
	})
	same(t, map[pyth.Code]int{"": 1, pyth.CodeConflict: 7}, got)
}

func testSuccessor(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	first := createToken(t, s, token("ada", "family", "first"))
	want(t, s.RotateRefreshToken(ctx, first.Hash, hash("client"), start, token("ada", "family", "lost")), "")
	want(t, s.AddSuccessor(ctx, first.Hash, token("ada", "family", "again")), "")
	_, err := s.RefreshToken(ctx, hash("again"))
	want(t, err, "")
	want(t, s.RevokeFamily(ctx, "ada", "family"), "")
	want(t, s.AddSuccessor(ctx, first.Hash, token("ada", "family", "late")), pyth.CodeNotFound)
	_, err = s.RefreshToken(ctx, hash("late"))
	want(t, err, pyth.CodeNotFound)
}

func testRevoke(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	createToken(t, s, token("ada", "one", "a"))
	createToken(t, s, token("ada", "two", "b"))
	createToken(t, s, token("bob", "three", "c"))
	want(t, s.RevokeFamily(ctx, "bob", "one"), "") // The family belongs to another user.
	_, err := s.RefreshToken(ctx, hash("a"))
	want(t, err, "")
	for range 2 {
		want(t, s.RevokeFamily(ctx, "ada", "one"), "")
	}
	_, err = s.RefreshToken(ctx, hash("a"))
	want(t, err, pyth.CodeNotFound)
	_, err = s.RefreshToken(ctx, hash("b"))
	want(t, err, "")
	want(t, s.RevokeAll(ctx, "ada"), "")
	_, err = s.RefreshToken(ctx, hash("b"))
	want(t, err, pyth.CodeNotFound)
	_, err = s.RefreshToken(ctx, hash("c"))
	want(t, err, "")
}

func testFamilyActive(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	first, second := token("ada", "family", "first"), token("ada", "family", "second")
	second.ExpiresAt = first.ExpiresAt.Add(time.Hour)
	createToken(t, s, first)
	active := func(user pyth.UserID, family string, at time.Time) bool {
		t.Helper()
		active, err := s.FamilyActive(ctx, user, family, at)
		want(t, err, "")
		return active
	}
	end := first.ExpiresAt
	if !active("ada", "family", end.Add(-time.Microsecond)) || active("ada", "family", end) {
		t.Error("the token family did not end exactly when its token expired")
	}
	want(t, s.RotateRefreshToken(ctx, first.Hash, hash("client"), start, second), "")
	if !active("ada", "family", end) || active("ada", "family", second.ExpiresAt) {
		t.Error("the token family did not end exactly when its last token expired")
	}
	if active("bob", "family", start) || active("ada", "another", start) || active("ada", "", start) {
		t.Error("FamilyActive is true for a token family with a wrong user, a wrong name or no name")
	}
	want(t, s.RevokeFamily(ctx, "ada", "family"), "")
	if active("ada", "family", start) {
		t.Error("FamilyActive is true for a revoked token family")
	}
}

func testRevocationRace(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	for i := range 20 {
		family, name := fmt.Sprint("family", i), fmt.Sprint("token", i)
		createToken(t, s, token("ada", family, name))
		race(2, func(n int) error {
			if n == 0 {
				return s.RevokeFamily(ctx, "ada", family)
			}
			return s.RotateRefreshToken(ctx, hash(name), hash("client"), start, token("ada", family, "next"+name))
		})
		_, err := s.RefreshToken(ctx, hash("next"+name))
		want(t, err, pyth.CodeNotFound)
	}
}

func testExpired(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	old, current := token("ada", "one", "old"), token("ada", "two", "current")
	old.ExpiresAt = start.Add(-time.Microsecond)
	current.ExpiresAt = start
	createToken(t, s, old)
	createToken(t, s, current)
	want(t, s.DeleteExpiredRefreshTokens(ctx, start), "")
	_, err := s.RefreshToken(ctx, old.Hash)
	want(t, err, pyth.CodeNotFound)
	_, err = s.RefreshToken(ctx, current.Hash)
	want(t, err, "")
}

func testCanceled(t *testing.T, s pyth.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := newAccount("ada")
	if err := s.CreateUser(ctx, a.user, a.key, a.data); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.User(ctx, "ada"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_, err := s.User(t.Context(), "ada")
	want(t, err, pyth.CodeNotFound)
}

func testClosed(t *testing.T, s pyth.Store) {
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.CheckWrite(t.Context()) == nil {
		t.Error("a write to a closed store succeeded")
	}
	if s.Ping(t.Context()) == nil {
		t.Error("Ping of a closed store succeeded")
	}
	a := newAccount("ada")
	if s.CreateUser(t.Context(), a.user, a.key, a.data) == nil {
		t.Error("CreateUser of a closed store succeeded")
	}
}
