package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	pyth "github.com/pyth-on/pyth-on"
)

// The function "refused" fails the test unless err has the given code. The parameter
// "action" describes the call that returned err.
func refused(t *testing.T, action string, err error, code pyth.Code) {
	t.Helper()
	if pyth.ErrorCode(err) != code {
		t.Errorf("%s: got %v, want code %q", action, err, code)
	}
}

func testUsers(t *testing.T, s pyth.Store) {
	all := []*pyth.User{create(t, s, "ada").user, create(t, s, "bob").user, create(t, s, "Adam").user}
	slices.SortFunc(all, func(a, b *pyth.User) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for _, c := range []struct {
		search string
		after  pyth.UserID
		limit  int
		want   []*pyth.User
	}{
		{"", "", 10, all},
		{"", "", 2, all[:2]},
		{"", all[1].ID, 2, all[2:]},
		{"ADA", "", 10, []*pyth.User{all[0], all[1]}},
		{"bob", "", 10, all[2:]},
		{"%", "", 10, nil},
		{"nobody", "", 10, nil},
	} {
		got, err := s.Users(t.Context(), c.search, c.after, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("search %q after %q: %s", c.search, c.after, diff)
		}
	}
	if n, err := s.CountUsers(t.Context()); err != nil || n != (pyth.UserCounts{Users: 3}) {
		t.Errorf("counted %+v, %v", n, err)
	}
}

func testUpdateUser(t *testing.T, s pyth.Store) {
	ada := create(t, s, "ada").user
	create(t, s, "bob")
	createToken(t, s, token("ada", "family", "of ada"))
	createToken(t, s, token("bob", "family", "of bob"))
	at := start.Add(time.Hour)
	change := func(c pyth.UserChange, apply func(*pyth.User), options ...cmp.Option) {
		t.Helper()
		apply(ada)
		got, err := s.UpdateUser(t.Context(), "ada", c, at)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := s.User(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		_, byKey, err := s.APIKeyByHash(t.Context(), hash("ada"))
		if err != nil {
			t.Fatal(err)
		}
		for name, u := range map[string]*pyth.User{"returned": got, "stored": stored, "of the key": byKey} {
			if diff := cmp.Diff(ada, u, options...); diff != "" {
				t.Errorf("user %s: %s", name, diff)
			}
		}
	}
	change(pyth.UserChange{Quotas: map[pyth.QuotaName]*int64{pyth.QuotaSessions: new(int64(3)), pyth.QuotaStorage: new(int64(0))}},
		func(u *pyth.User) { u.Quotas = map[pyth.QuotaName]int64{pyth.QuotaSessions: 3, pyth.QuotaStorage: 0} })
	change(pyth.UserChange{Role: new(pyth.RoleAdmin)}, func(u *pyth.User) { u.Role = pyth.RoleAdmin })
	if _, err := s.RefreshToken(t.Context(), hash("of ada")); err != nil {
		t.Errorf("a change of the role revoked the tokens: %v", err)
	}
	create(t, s, "admin")
	if _, err := s.UpdateUser(t.Context(), "admin", pyth.UserChange{Role: new(pyth.RoleAdmin)}, at); err != nil {
		t.Fatal(err)
	}
	change(pyth.UserChange{Disabled: new(true)}, func(u *pyth.User) { u.DisabledAt = at })
	_, err := s.RefreshToken(t.Context(), hash("of ada"))
	refused(t, "the token of a disabled user", err, pyth.CodeNotFound)
	if _, err := s.RefreshToken(t.Context(), hash("of bob")); err != nil {
		t.Errorf("another user lost the tokens: %v", err)
	}
	first := at
	at = at.Add(time.Hour)
	change(pyth.UserChange{Disabled: new(true)}, func(u *pyth.User) { u.DisabledAt = first })
	inactive, err := s.InactiveUsers(t.Context(), []pyth.UserID{"nobody", "ada", "bob"})
	slices.Sort(inactive)
	if err != nil || !slices.Equal(inactive, []pyth.UserID{"ada", "nobody"}) {
		t.Errorf("inactive users: %v, %v", inactive, err)
	}
	if n, err := s.CountUsers(t.Context()); err != nil || n != (pyth.UserCounts{Users: 3, Disabled: 1, ActiveAdmins: 1}) {
		t.Errorf("counted %+v, %v", n, err)
	}
	change(pyth.UserChange{Disabled: new(false), Role: new(pyth.RoleUser), Quotas: map[pyth.QuotaName]*int64{pyth.QuotaSessions: nil, pyth.QuotaStorage: nil}},
		func(u *pyth.User) {
			u.DisabledAt, u.Role, u.Quotas = time.Time{}, pyth.RoleUser, map[pyth.QuotaName]int64{}
		}, cmpopts.EquateEmpty())
	_, err = s.UpdateUser(t.Context(), "nobody", pyth.UserChange{}, at)
	refused(t, "a missing user", err, pyth.CodeNotFound)
	if n, err := s.DeleteAPIKeys(t.Context(), "ada"); err != nil || n != 1 {
		t.Errorf("deleted %d keys, %v", n, err)
	}
	_, _, err = s.APIKeyByHash(t.Context(), hash("ada"))
	refused(t, "a deleted key", err, pyth.CodeNotFound)
}

// createAdmin creates a user and makes the user an administrator.
func createAdmin(t *testing.T, s pyth.Store, id string) {
	t.Helper()
	a := newAccount(id)
	a.user.Role = pyth.RoleAdmin
	if err := s.CreateUser(t.Context(), a.user, a.key, a.data); err != nil {
		t.Fatal(err)
	}
}

// removals contains functions that change an enabled administrator. After such a change,
// the user is no longer an enabled administrator: the user is disabled, has another
// role, or does not exist.
var removals = map[string]func(*testing.T, pyth.Store, pyth.UserID) error{
	"disable": func(t *testing.T, s pyth.Store, id pyth.UserID) error {
		_, err := s.UpdateUser(t.Context(), id, pyth.UserChange{Disabled: new(true)}, start)
		return err
	},
	"demote": func(t *testing.T, s pyth.Store, id pyth.UserID) error {
		_, err := s.UpdateUser(t.Context(), id, pyth.UserChange{Role: new(pyth.RoleUser)}, start)
		return err
	},
	"delete": func(t *testing.T, s pyth.Store, id pyth.UserID) error { return s.DeleteUser(t.Context(), id) },
}

func testLastAdmin(t *testing.T, s pyth.Store) {
	createAdmin(t, s, "ada")
	for name, remove := range removals {
		refused(t, name+" the last administrator", remove(t, s, "ada"), pyth.CodeLastAdmin)
		if u, err := s.User(t.Context(), "ada"); err != nil || !u.ActiveAdmin() {
			t.Fatalf("%s: the administrator is %+v, %v", name, u, err)
		}
	}
	if _, err := s.UpdateUser(t.Context(), "ada", pyth.UserChange{Disabled: new(false)}, start); err != nil {
		t.Errorf("a change that keeps the administrator: %v", err)
	}
	for name, remove := range removals {
		createAdmin(t, s, name)
		if err := remove(t, s, pyth.UserID(name)); err != nil {
			t.Errorf("%s another administrator: %v", name, err)
		}
		refused(t, name+" the last administrator", remove(t, s, "ada"), pyth.CodeLastAdmin)
	}
}

func testLastAdminRace(t *testing.T, s pyth.Store) {
	createAdmin(t, s, "admin-0")
	for i := range 5 {
		createAdmin(t, s, fmt.Sprintf("admin-%d", i+1))
	}
	var wg sync.WaitGroup
	for i := range 6 {
		for _, remove := range removals {
			wg.Go(func() { _ = remove(t, s, pyth.UserID(fmt.Sprintf("admin-%d", i))) })
		}
	}
	wg.Wait()
	if n, err := s.CountUsers(t.Context()); err != nil || n.ActiveAdmins != 1 {
		t.Errorf("counted %+v, %v", n, err)
	}
}

func testActiveExecutions(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	var ids []pyth.ExecutionID
	for i, r := range []pyth.ExecutionRecord{
		{User: "ada", State: pyth.StateRunning, StartedAt: start},
		{User: "bob", State: pyth.StateQueued},
		{User: "bob", State: pyth.StateEnded, EndedAt: start},
		{User: "ada", State: pyth.StateQueued},
	} {
		r.ID = pyth.NewExecutionID(start.Add(time.Duration(i) * time.Second))
		r.Content = pyth.ContentNone
		if err := s.PutExecutions(t.Context(), []*pyth.SealedExecution{{ExecutionRecord: r}}); err != nil {
			t.Fatal(err)
		}
		if r.State != pyth.StateEnded {
			ids = append(ids, r.ID)
		}
	}
	if owner, err := s.ExecutionOwner(t.Context(), ids[0]); err != nil || owner != "ada" {
		t.Errorf("the owner of the run is %q, %v", owner, err)
	}
	list := func(after pyth.ExecutionID, limit int) (got []pyth.ExecutionID) {
		all, err := s.ActiveExecutions(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			got = append(got, r.ID)
		}
		return got
	}
	if got := list("", 10); !slices.Equal(got, ids) {
		t.Errorf("got %v, want %v", got, ids)
	}
	if got := list(ids[0], 1); !slices.Equal(got, ids[1:2]) {
		t.Errorf("second page: got %v, want %v", got, ids[1:2])
	}
	_, err := s.ExecutionOwner(t.Context(), "absent")
	refused(t, "the owner of a missing run", err, pyth.CodeNotFound)
}

func invite(name string, change ...func(*pyth.Invite)) *pyth.Invite {
	i := &pyth.Invite{ID: pyth.InviteID(name), Hash: hash("code of " + name), CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	for _, c := range change {
		c(i)
	}
	return i
}

// register creates a user with an invite.
func register(t *testing.T, s pyth.Store, id string, at time.Time, i *pyth.Invite) (*pyth.User, error) {
	a := newAccount(id)
	a.user.CreatedAt = at
	return a.user, s.CreateInvitedUser(t.Context(), a.user, a.key, a.data, i.Hash)
}

func testInvites(t *testing.T, s pyth.Store) {
	open, bound, old := invite("1-open"), invite("2-bound", func(i *pyth.Invite) { i.Email, i.CreatedBy = "bob@example.org", "usr_admin" }),
		invite("3-old", func(i *pyth.Invite) { i.ExpiresAt = start.Add(time.Minute) })
	setup := invite("4-setup", func(i *pyth.Invite) { i.Setup = true })
	for _, i := range []*pyth.Invite{open, bound, old, setup} {
		if err := s.CreateInvite(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		if got, err := s.InviteByHash(t.Context(), i.Hash); err != nil || cmp.Diff(i, got) != "" {
			t.Errorf("%v: %s", err, cmp.Diff(i, got))
		}
	}
	list := func(after pyth.InviteID, limit int, invites ...*pyth.Invite) {
		t.Helper()
		got, err := s.Invites(t.Context(), after, limit)
		if diff := cmp.Diff(invites, got); err != nil || diff != "" {
			t.Errorf("%v: %s", err, diff)
		}
	}
	list("", 10, open, bound, old)
	list(open.ID, 1, bound)
	later := start.Add(30 * time.Minute)
	_, err := register(t, s, "ada", later, bound)
	refused(t, "invite for another address", err, pyth.CodeRegistrationClosed)
	_, err = register(t, s, "ada", later, old)
	refused(t, "expired invite", err, pyth.CodeRegistrationClosed)
	_, err = register(t, s, "ada", later, invite("unknown"))
	refused(t, "unknown invite", err, pyth.CodeRegistrationClosed)
	_, err = s.User(t.Context(), "ada")
	refused(t, "refused user", err, pyth.CodeNotFound)
	create(t, s, "eve")
	_, err = register(t, s, "eve", later, open)
	refused(t, "taken e-mail address", err, pyth.CodeEmailTaken)
	list("", 10, open, bound, old) // A failed registration keeps the invite.
	u, err := register(t, s, "ada", later, open)
	if err != nil || u.Role != pyth.RoleUser {
		t.Errorf("user %+v, %v", u, err)
	}
	_, err = register(t, s, "dan", later, open)
	refused(t, "used invite", err, pyth.CodeRegistrationClosed)
	if _, err := register(t, s, "Bob", later, bound); err != nil {
		t.Errorf("invite for this address: %v", err)
	}
	list("", 10, old)
	refused(t, "deletion of a setup code", s.DeleteInvite(t.Context(), setup.ID), pyth.CodeNotFound)
	if err := s.DeleteExpiredInvites(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	list("", 10)
	if err := s.CreateInvite(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteInvite(t.Context(), open.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, "second deletion", s.DeleteInvite(t.Context(), open.ID), pyth.CodeNotFound)
	_, err = s.InviteByHash(t.Context(), open.Hash)
	refused(t, "deleted invite", err, pyth.CodeNotFound)
}

func testInviteRace(t *testing.T, s pyth.Store) {
	i := invite("race")
	if err := s.CreateInvite(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for n := range errs {
		wg.Go(func() { _, errs[n] = register(t, s, fmt.Sprintf("user-%d", n), start, i) })
	}
	wg.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else {
			refused(t, "second use", err, pyth.CodeRegistrationClosed)
		}
	}
	if created != 1 {
		t.Errorf("%d registrations used the invite", created)
	}
}

func testSetupInvite(t *testing.T, s pyth.Store) {
	create(t, s, "bob")
	first, second := invite("1", func(i *pyth.Invite) { i.Setup = true }), invite("2", func(i *pyth.Invite) { i.Setup = true })
	for _, i := range []*pyth.Invite{first, second} {
		if err := s.CreateInvite(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	_, err := register(t, s, "ada", start, first)
	refused(t, "replaced code", err, pyth.CodeRegistrationClosed)
	u, err := register(t, s, "ada", start, second)
	if err != nil || u.Role != pyth.RoleAdmin {
		t.Errorf("user %+v, %v", u, err)
	}
	if stored, err := s.User(t.Context(), "ada"); err != nil || !stored.ActiveAdmin() {
		t.Errorf("stored %+v, %v", stored, err)
	}
	third := invite("3", func(i *pyth.Invite) { i.Setup = true })
	if err := s.CreateInvite(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	_, err = register(t, s, "eve", start, third)
	refused(t, "code of a server with an administrator", err, pyth.CodeRegistrationClosed)
}

func testStorageBytes(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	want(t, s.PutExecutions(t.Context(), []*pyth.SealedExecution{endedRun("1", "ada"), endedRun("2", "ada"), endedRun("3", "bob")}), "")
	for user, bytes := range map[pyth.UserID]int64{"ada": 12, "bob": 6, "nobody": 0} {
		if n, err := s.StorageBytes(t.Context(), user); err != nil || n != bytes {
			t.Errorf("%s has %d bytes, %v", user, n, err)
		}
	}
}

func testResetToken(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	for _, name := range []string{"first", "second"} {
		if err := s.CreateResetToken(t.Context(), &pyth.ResetToken{Hash: hash(name), UserID: "ada", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	err := s.CreateResetToken(t.Context(), &pyth.ResetToken{Hash: hash("third"), UserID: "nobody", CreatedAt: start, ExpiresAt: start.Add(time.Hour)})
	refused(t, "token of a missing user", err, pyth.CodeNotFound)
}
