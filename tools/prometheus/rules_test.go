// Package prometheus_test checks the alert rules and the dashboard with the parsers of
// Prometheus. It also evaluates the alerts with the query engine of Prometheus.
package prometheus_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// deploy returns the path of a file in the folder deploy of the repository.
func deploy(path ...string) string {
	return filepath.Join(append([]string{"..", "..", "deploy"}, path...)...)
}

// rules returns the query of each alert, by the name of the alert.
func rules(t *testing.T) map[string]string {
	t.Helper()
	groups, errs := rulefmt.ParseFile(deploy("prometheus", "alerts.yml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	all := map[string]string{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r.Expr
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("%s has no severity or no summary", r.Alert)
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("there are no rules")
	}
	return all
}

func TestDashboardQueriesAreValid(t *testing.T) {
	b, err := os.ReadFile(deploy("grafana", "pyth-on.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
	queries, ids := 0, map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the ID %d", p.ID)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			queries++
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(target.Expr)); err != nil {
				t.Errorf("%s: %s: %v", p.Title, target.Expr, err)
			}
		}
	}
	if queries < 30 {
		t.Errorf("the dashboard has only %d queries", queries)
	}
}

// TestAlertsFire evaluates each alert with two sets of series. With the first set, the
// alert must fire. With the second set, the alert must not fire.
func TestAlertsFire(t *testing.T) {
	const load = "load 1m\n"
	tests := map[string]struct{ bad, good string }{
		"PythOnDown":               {`up{job="pyth-on"} 0x500`, `up{job="pyth-on"} 1x500`},
		"PythOnDatabaseDown":       {`pyth_on_database_up 0x500`, `pyth_on_database_up 1x500`},
		"PythOnDiskNotWritable":    {`pyth_on_disk_writable 0x500`, `pyth_on_disk_writable 1x500`},
		"PythOnDiskAlmostFull":     {"pyth_on_disk_free_bytes 5x500\n pyth_on_disk_size_bytes 100x500", "pyth_on_disk_free_bytes 50x500\n pyth_on_disk_size_bytes 100x500"},
		"PythOnDiskFullSoon":       {`pyth_on_disk_free_bytes 1000-2x490`, `pyth_on_disk_free_bytes 100000+1x500`},
		"PythOnErrors":             {`pyth_on_http_requests_total{instance="a",status="500"} 0+1x500` + "\n" + ` pyth_on_http_requests_total{instance="a",status="200"} 0+9x500`, `pyth_on_http_requests_total{instance="a",status="499"} 0+5x500` + "\n" + ` pyth_on_http_requests_total{instance="a",status="200"} 0+9x500`},
		"PythOnOverloaded":         {`pyth_on_executions_refused_total 0+1x500`, `pyth_on_executions_refused_total 7x500`},
		"PythOnSlowQueue":          {`pyth_on_execution_queued_seconds_bucket{instance="a",le="1"} 0x500` + "\n" + ` pyth_on_execution_queued_seconds_bucket{instance="a",le="10"} 0+9x500` + "\n" + ` pyth_on_execution_queued_seconds_bucket{instance="a",le="+Inf"} 0+9x500`, `pyth_on_execution_queued_seconds_bucket{instance="a",le="1"} 0+9x500` + "\n" + ` pyth_on_execution_queued_seconds_bucket{instance="a",le="+Inf"} 0+9x500`},
		"PythOnSandboxesDoNotBoot": {`pyth_on_sandbox_boot_seconds_count{result="failed"} 0+1x500`, `pyth_on_sandbox_boot_seconds_count{result="ok"} 0+1x500`},
		"PythOnAsyncQueueOld":      {`pyth_on_async_oldest_queued_age_seconds 4000x500`, `pyth_on_async_oldest_queued_age_seconds 0x500`},
		"PythOnWebhooksFail":       {`pyth_on_webhook_attempts_total{result="failed"} 0+1x500`, `pyth_on_webhook_attempts_total{result="retried"} 0+1x500`},
		"PythOnBackupOld":          {`pyth_on_backup_last_success_timestamp_seconds 1x5000`, `pyth_on_backup_last_success_timestamp_seconds 0x5000`},
		"PythOnAuditLost":          {`pyth_on_audit_lost_total 0+1x500`, `pyth_on_audit_lost_total 0x500`},
		"PythOnPasswordGuessing":   {`pyth_on_rate_limit_refused_total{limit="login-ip"} 0+20x500`, `pyth_on_rate_limit_refused_total{limit="user"} 0+20x500`},
		"PythOnFewDescriptors":     {`process_open_fds{job="pyth-on"} 900x500` + "\n" + ` process_max_fds{job="pyth-on"} 1000x500`, `process_open_fds{job="pyth-on"} 100x500` + "\n" + ` process_max_fds{job="pyth-on"} 1000x500`},
		"PythOnNATSDown":           {`pyth_on_nats_connected 0x500`, `pyth_on_nats_connected 1x500`},
		"PythOnNoWorkers":          {`pyth_on_workers{state="ready"} 0x500`, `pyth_on_workers{state="ready"} 2x500` + "\n" + ` pyth_on_workers{state="stopping"} 0x500`},
		"PythOnWorkerLost":         {`pyth_on_workers_lost_total 0+1x500`, `pyth_on_workers_lost_total 3x500`},
	}
	// In the series of this test, the last backup was made at the time 0. So this alert
	// must fire after two days.
	times := map[string]time.Duration{"PythOnBackupOld": 60 * time.Hour}
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	all := rules(t)
	for name, expr := range all {
		test, ok := tests[name]
		if !ok {
			t.Errorf("%s has no test", name)
			continue
		}
		at := 8 * time.Hour
		if d := times[name]; d > 0 {
			at = d
		}
		for series, want := range map[string]bool{test.bad: true, test.good: false} {
			storage := promqltest.LoadedStorage(t, load+" "+series+"\n")
			query, err := engine.NewInstantQuery(context.Background(), storage, nil, expr, time.Unix(0, 0).Add(at))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			vector, err := query.Exec(context.Background()).Vector()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := len(vector) > 0; got != want {
				t.Errorf("%s fires: %v, want %v, for %s", name, got, want, series)
			}
			query.Close()
		}
	}
	for name := range tests {
		if all[name] == "" {
			t.Errorf("there is no alert %s", name)
		}
	}
}
