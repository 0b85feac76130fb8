package e2e_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

type usageReport struct {
	Items []struct {
		Day, Language, KeyID                                                       string
		Executions, CPUMs, MemoryMibMs, NetworkBytes, StorageBytes, GenerateTokens int64
	}
	Quotas []struct {
		Name        string
		Limit, Used int64
		ResetsAt    time.Time
	}
}

func (r usageReport) quota(t *testing.T, name string) (limit, used int64) {
	t.Helper()
	for _, q := range r.Quotas {
		if q.Name == name {
			return q.Limit, q.Used
		}
	}
	t.Fatalf("there is no quota %s", name)
	return 0, 0
}

func (a *account) usage(t testing.TB, query string) (r usageReport) {
	t.Helper()
	a.server.call(t, a, "GET", "/api/v1/usage?"+query, nil).want(t, 200, &r)
	return r
}

func TestUsageCountsRuns(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a, other := s.register(t), s.register(t)
	if r := a.usage(t, ""); len(r.Items) != 0 {
		t.Errorf("got %+v before the first run", r)
	}
	first := a.execute(t, object{"code": "bytearray(20 << 20)\nsum(range(10**6))"})
	a.execute(t, object{"code": "1/0", "store": false})
	a.execute(t, object{"code": "console.log(1)", "language": "javascript"})
	r := a.usage(t, "")
	if len(r.Items) != 1 || r.Items[0].Executions != 3 || r.Items[0].Day != time.Now().UTC().Format(time.DateOnly) ||
		r.Items[0].CPUMs == 0 || r.Items[0].MemoryMibMs == 0 || r.Items[0].StorageBytes == 0 {
		t.Errorf("got %+v", r.Items)
	}
	if limit, used := r.quota(t, "sessions"); limit == 0 || used != 0 {
		t.Errorf("%d of %d sessions are used", used, limit)
	}
	byLanguage := a.usage(t, "by=language").Items
	if len(byLanguage) != 2 || byLanguage[0].Language != "javascript" || byLanguage[0].Executions != 1 || byLanguage[1].Executions != 2 {
		t.Errorf("got %+v", byLanguage)
	}
	byKey := a.usage(t, "by=key").Items
	if len(byKey) != 1 || byKey[0].KeyID != a.record(t, first.ID).KeyID || byKey[0].Executions != 3 {
		t.Errorf("got %+v", byKey)
	}
	// When a record is deleted, the usage counters must not change. The content of the
	// record must no longer count as stored.
	s.call(t, a, "DELETE", "/api/v1/executions/"+first.ID, nil).want(t, 204, nil)
	if after := a.usage(t, "").Items; len(after) != 1 || after[0].Executions != 3 || after[0].StorageBytes >= r.Items[0].StorageBytes {
		t.Errorf("got %+v after %+v", after, r.Items)
	}
	if r := other.usage(t, ""); len(r.Items) != 0 {
		t.Errorf("another user sees %+v", r)
	}
	s.call(t, a, "GET", "/api/v1/usage?since=2024-01-01T00:00:00Z", nil).refused(t, 400, "invalid_request")
	s.call(t, nil, "GET", "/api/v1/usage", nil).refused(t, 401, "unauthenticated")
}

func TestQuotaOfADayRefusesRuns(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	s := startServerIn(t, data, nil, "--quota-executions-per-day=3", "--quota-cpu-per-day=1h")
	a, other := s.register(t), s.register(t)
	a.run(t, "print(1)")
	a.run(t, "1/0")
	s.call(t, a, "POST", "/api/v1/execute", object{"code": "", "language": "python"}).refused(t, 400, "invalid_request")
	if limit, used := a.usage(t, "").quota(t, "executions_per_day"); limit != 3 || used != 2 {
		t.Errorf("%d of %d runs are used", used, limit)
	}
	var session struct{ ID string }
	s.call(t, a, "POST", "/api/v1/sessions", object{"language": "python"}).want(t, 201, &session)
	a.execute(t, object{"code": "print(1)", "sessionId": session.ID})
	refuse := func(s *server) {
		t.Helper()
		for _, request := range []object{{"code": "print(1)"}, {"code": "print(1)", "sessionId": session.ID}} {
			res := s.call(t, a, "POST", "/api/v1/execute", request)
			res.refused(t, http.StatusTooManyRequests, "quota_exceeded")
			seconds, err := strconv.Atoi(res.header.Get("Retry-After"))
			if err != nil || seconds < 1 || seconds > 24*60*60 {
				t.Errorf("Retry-After is %q", res.header.Get("Retry-After"))
			}
		}
	}
	refuse(s)
	other.run(t, "print(1)")
	if _, used := a.usage(t, "").quota(t, "executions_per_day"); used != 3 {
		t.Errorf("%d runs are used", used)
	}
	// After a restart, the server must read the usage from the database.
	s.stop(t)
	s = startServerIn(t, data, nil, "--quota-executions-per-day=3")
	a.server = s
	refuse(s)
}

func TestQuotaOfProcessorTimeRefusesRuns(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--quota-cpu-per-day=1ms")
	a := s.register(t)
	a.run(t, "sum(range(10**6))")
	res := s.call(t, a, "POST", "/api/v1/execute", object{"code": "print(1)"})
	res.refused(t, http.StatusTooManyRequests, "quota_exceeded")
}
