package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metricSeries returns the values of all series of metrics. The keys are the names of
// the series with their labels. If the server has a worker, the values come from the
// worker, but disk metrics come from the server.
func (s *server) metricSeries(t testing.TB) map[string]string {
	t.Helper()
	if s.worker != nil {
		all := (&server{metrics: s.metrics}).metricSeries(t)
		for series, value := range s.worker.metricSeries(t) {
			if strings.HasPrefix(series, "pyth_on_") && !strings.HasPrefix(series, "pyth_on_disk_") {
				all[series] = value
			}
		}
		return all
	}
	res := must(http.Get(s.metrics))(t)
	defer res.Body.Close()
	all := map[string]string{}
	for line := range strings.Lines(string(must(io.ReadAll(res.Body))(t))) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && !strings.HasPrefix(line, "#") {
			all[line[:i]] = strings.TrimSpace(line[i+1:])
		}
	}
	return all
}

func TestMetricsHaveEverySeriesFromStart(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	scrape := s.scrape(t)
	ofServer, ofCluster := monitoringPage(t)
	documented := documentedMetrics(ofServer)
	if usesWorkers() {
		maps.Copy(documented, documentedMetrics(ofCluster))
	}
	requireSameMetrics(t, documented, metricNames(scrape))
	requireConventions(t, scrape)
	first := s.metricSeries(t)
	want := []string{
		`pyth_on_users`, `pyth_on_sessions`, `pyth_on_packages`, `pyth_on_async_queued`, `pyth_on_async_oldest_queued_age_seconds`,
		`pyth_on_webhook_deliveries_pending`, `pyth_on_webhook_attempt_seconds_count`, `pyth_on_backup_last_success_timestamp_seconds`,
		`pyth_on_package_changes_total{result="changed",runtime="node"}`, `pyth_on_package_changes_total{result="failed",runtime="python"}`,
		`pyth_on_packages_installed_total{runtime="python"}`,
		`pyth_on_executions_refused_total`, `pyth_on_audit_suppressed_total`, `pyth_on_execution_wall_seconds_count`,
		`pyth_on_http_requests_total{method="POST",route="/api/v1/execute",status="200"}`,
		`pyth_on_http_requests_total{method="POST",route="/api/v1/execute",status="503"}`,
		`pyth_on_http_requests_total{method="POST",route="/api/v1/execute",status="500"}`,
		`pyth_on_http_requests_total{method="PUT",route="/api/v1/sessions/{id}/files/{path...}",status="201"}`,
		`pyth_on_http_requests_total{method="DELETE",route="/api/v1/packages/{package...}",status="404"}`,
		`pyth_on_http_request_duration_seconds_count{method="POST",route="/api/v1/sessions"}`,
		`pyth_on_generate_tokens_total{kind="cached_input"}`,
	}
	for _, language := range []string{"python", "javascript", "typescript"} {
		for _, status := range []string{"succeeded", "failed", "timed_out", "out_of_memory", "output_limit", "killed", "canceled"} {
			want = append(want, fmt.Sprintf(`pyth_on_executions_total{language="%s",status="%s"}`, language, status))
		}
	}
	for label, values := range map[string][]string{
		`pyth_on_sandboxes_removed_total{reason="%s"}`:    {"max_runs", "idle", "evicted", "broken", "drained", "closed", "expired", "outdated"},
		`pyth_on_egress_connections_total{verdict="%s"}`:  {"allowed", "denied", "failed"},
		`pyth_on_egress_bytes_total{direction="%s"}`:      {"sent", "received"},
		`pyth_on_generate_calls_total{result="%s"}`:       {"answered", "malformed", "canceled", "llm_failed", "llm_timeout"},
		`pyth_on_sandbox_boot_seconds_count{result="%s"}`: {"failed", "ok"},
		`pyth_on_quota_refused_total{code="%s"}`:          {"quota_exceeded", "too_many_executions", "token_budget_exhausted"},
		`pyth_on_rate_limit_refused_total{limit="%s"}`:    {"register-ip", "login-ip", "login-account", "reset-account", "user", "verify-ip"},
		`pyth_on_webhook_attempts_total{result="%s"}`:     {"delivered", "retried", "failed"},
	} {
		for _, v := range values {
			want = append(want, fmt.Sprintf(label, v))
		}
	}
	for _, name := range want {
		value, there := first[name]
		if !there || value != "0" && !strings.Contains(name, "sandbox_boot") && !strings.Contains(name, "execution_wall") {
			t.Errorf("%s is %q", name, value)
		}
	}
	for name, least := range map[string]float64{
		"pyth_on_database_up": 1, "pyth_on_database_bytes": 4096, "pyth_on_disk_free_bytes": 1, "pyth_on_disk_size_bytes": 1, "pyth_on_disk_writable": 1,
	} {
		if s.metric(t, name) < least {
			t.Errorf("%s is %s", name, first[name])
		}
	}
	// Requests must not create new series. Alerts need all counters from the start of
	// the server, with the value 0.
	a := s.register(t)
	session := a.openSession(t, object{"language": "python"})
	session.runCode(t, "print(42)")
	a.execute(t, object{"code": "process.exit(3)", "language": "javascript"})
	a.execute(t, object{"code": "const n: number = 1; throw n", "language": "typescript"})
	a.execute(t, object{"code": "while True: pass", "timeoutMs": 300})
	s.callWithHeader(t, http.Header{"X-Api-Key": {a.APIKey}, "Content-Type": {"application/octet-stream"}}, "PUT", "/api/v1/sessions/"+session.ID+"/files/a/b.txt", "x")
	s.call(t, a, "DELETE", "/api/v1/sessions/"+session.ID, nil).want(t, 204, nil)
	s.call(t, a, "GET", "/api/v1/keys", nil).want(t, 200, nil)
	s.call(t, a, "GET", "/nowhere", nil).refused(t, 404, "not_found")
	s.call(t, nil, "POST", "/api/v1/execute", object{"code": "1"}).refused(t, 401, "unauthenticated")
	s.call(t, a, "POST", "/api/v1/generate", object{"prompt": "x"}).refused(t, 503, "llm_not_configured")
	if s.metric(t, "pyth_on_users") != 1 || s.metric(t, "pyth_on_sessions") != 0 {
		t.Errorf("%v users, %v sessions", s.metric(t, "pyth_on_users"), s.metric(t, "pyth_on_sessions"))
	}
	ours := regexp.MustCompile(`^pyth_on_`)
	var late []string
	for name := range s.metricSeries(t) {
		if _, there := first[name]; !there && ours.MatchString(name) {
			late = append(late, name)
		}
	}
	slices.Sort(late)
	if len(late) > 0 {
		t.Errorf("series created by use: %s", strings.Join(late, "\n"))
	}
}
