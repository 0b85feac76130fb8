package e2e_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// scrape returns the metrics of the server in the text format of Prometheus.
func (s *server) scrape(t testing.TB) string {
	t.Helper()
	res := must(http.Get(s.metrics))(t)
	defer res.Body.Close()
	return string(must(io.ReadAll(res.Body))(t))
}

// metricNames returns the names and types of Pyth-On's metrics in the text of a scrape.
func metricNames(scrape string) map[string]string {
	names := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (pyth_on_\w+) (\w+)$`).FindAllStringSubmatch(scrape, -1) {
		names[m[1]] = m[2]
	}
	return names
}

// documentedMetrics returns the names of the metrics in a part of docs/monitoring.md.
func documentedMetrics(part string) map[string]bool {
	names := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(pyth_on_\\w+)").FindAllStringSubmatch(part, -1) {
		names[m[1]] = true
	}
	return names
}

// monitoringPage returns two parts of docs/monitoring.md: the metrics of a server, and
// the metrics of a cluster.
func monitoringPage(t testing.TB) (server, cluster string) {
	t.Helper()
	page := string(must(os.ReadFile(filepath.Join("..", "..", "docs", "monitoring.md")))(t))
	_, page, _ = strings.Cut(page, "\n## Metrics of the server\n")
	server, rest, _ := strings.Cut(page, "\n## Metrics of a cluster\n")
	cluster, _, _ = strings.Cut(rest, "\n## ")
	return server, cluster
}

// requireSameMetrics checks that the documentation lists exactly the metrics that a
// process has.
func requireSameMetrics(t testing.TB, documented map[string]bool, served map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(served)) {
		if !documented[name] {
			t.Errorf("docs/monitoring.md does not describe %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		if served[name] == "" {
			t.Errorf("docs/monitoring.md describes %s, but the process does not have it", name)
		}
	}
}

// requireConventions checks the metrics with the rules of `promtool check metrics`.
func requireConventions(t testing.TB, scrape string) {
	t.Helper()
	for _, p := range must(promlint.New(bytes.NewBufferString(scrape)).Lint())(t) {
		if strings.HasPrefix(p.Metric, "pyth_on_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestMonitoringFilesUseKnownMetrics checks the dashboard and the alert rules. They may
// use only metrics that docs/monitoring.md lists. Other tests compare this page with
// the metrics of a server and of a cluster. The module tools/prometheus checks the
// queries.
func TestMonitoringFilesUseKnownMetrics(t *testing.T) {
	t.Parallel()
	server, cluster := monitoringPage(t)
	known := documentedMetrics(server)
	maps.Copy(known, documentedMetrics(cluster))
	deploy := filepath.Join("..", "..", "deploy")
	alerts := string(must(os.ReadFile(filepath.Join(deploy, "prometheus", "alerts.yml")))(t))
	dashboard := string(must(os.ReadFile(filepath.Join(deploy, "grafana", "pyth-on.json")))(t))
	for file, text := range map[string]string{"alerts.yml": alerts, "pyth-on.json": dashboard} {
		used := regexp.MustCompile(`pyth_on_\w+`).FindAllString(text, -1)
		if len(used) == 0 {
			t.Errorf("%s uses no metric", file)
		}
		for _, name := range used {
			histogram := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
			if !known[name] && !known[histogram] {
				t.Errorf("%s uses the unknown metric %s", file, name)
			}
		}
	}
	page := string(must(os.ReadFile(filepath.Join("..", "..", "docs", "monitoring.md")))(t))
	described := regexp.MustCompile("`(PythOn\\w+)`").FindAllStringSubmatch(page, -1)
	names := map[string]bool{}
	for _, m := range described {
		names[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(alerts, -1) {
		if !names[m[1]] {
			t.Errorf("docs/monitoring.md does not describe the alert %s", m[1])
		}
		delete(names, m[1])
	}
	for name := range names {
		t.Errorf("docs/monitoring.md describes the alert %s, which does not exist", name)
	}
}
