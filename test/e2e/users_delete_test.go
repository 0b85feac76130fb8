package e2e_test

import "testing"

// TestUsersDeleteEndsRunsFirst deletes an account while its program is running. The
// command must first end the run and then erase the content of audit entries. In the
// other order, the entry about the end of the run would remain.
func TestUsersDeleteEndsRunsFirst(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	a.enqueue(t, object{"code": sleepForever})
	eventually(t, "the program runs", func() bool { return len(a.records(t, "state=running")) == 1 })
	if out, err := runBinary(t, "users", "delete", a.email, "--yes", "--data-dir="+s.data); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.call(t, a, "GET", "/api/v1/me", nil).refused(t, 401, "unauthenticated")
	if out, failed := runAudit(t, s.data, "export", "--user="+a.User.ID); failed || out != "" {
		t.Errorf("the audit log still contains entries of the user: %s", out)
	}
	s.stop(t)
	if out, failed := runAudit(t, s.data, "export", "--user="+a.User.ID); failed || out != "" {
		t.Errorf("the audit log contains entries of the user after the stop: %s", out)
	}
}
