package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

type usageService struct {
	query  pyth.UsageQuery
	user   pyth.UserID
	report *pyth.UsageReport
}

func (u *usageService) Usage(_ context.Context, user pyth.UserID, q pyth.UsageQuery) (*pyth.UsageReport, error) {
	u.user, u.query = user, q
	return u.report, nil
}

func TestGetUsage(t *testing.T) {
	day := pyth.DayOf(created)
	totals := pyth.UsageTotals{Executions: 1, CPU: 1500 * time.Microsecond, MemoryMiBMs: 3, NetworkBytes: 4, StorageBytes: 5, GenerateTokens: 6}
	u := &usageService{}
	s := newServer(t, func(c *api.Config) { c.Usage = u })
	const sums = `"executions":1,"cpuMs":1,"memoryMibMs":3,"networkBytes":4,"storageBytes":5,"generateTokens":6}`
	for by, c := range map[pyth.UsageOrder]struct {
		item pyth.UsageItem
		want string
	}{
		pyth.UsageByDay:      {pyth.UsageItem{Day: day, UsageTotals: totals}, `{"day":"2026-04-04",` + sums},
		pyth.UsageByLanguage: {pyth.UsageItem{Language: pyth.Python, UsageTotals: totals}, `{"language":"python",` + sums},
		pyth.UsageByKey:      {pyth.UsageItem{Key: "key_1", UsageTotals: totals}, `{"keyId":"key_1",` + sums},
	} {
		u.report = &pyth.UsageReport{
			UsageQuery: pyth.UsageQuery{Since: day, Until: day.AddDate(0, 0, 1), By: by}, Items: []pyth.UsageItem{c.item}, Total: totals,
			Quotas: []pyth.Quota{{Name: pyth.QuotaExecutionsPerDay, Limit: 9, Used: 1, ResetsAt: day}, {Name: pyth.QuotaSecrets, Limit: 200}},
		}
		res := s.send(request("GET", "/api/v1/usage?since=2026-04-04T08:00:00Z&until=2026-04-05T00:00:00Z&by="+string(by), ""))
		want := `{"by":"` + string(by) + `","startsAt":"2026-04-04T00:00:00.000Z","endsAt":"2026-04-05T00:00:00.000Z","items":[` + c.want + `],"total":{` + sums +
			`,"quotas":[{"name":"executions_per_day","limit":9,"used":1,"resetsAt":"2026-04-04T00:00:00.000Z"},{"name":"secrets","limit":200,"used":0}]}`
		if strings.TrimSpace(res.body) != want {
			t.Errorf("got %s, want %s", res.body, want)
		}
		if want := (pyth.UsageQuery{Since: day.Add(8 * time.Hour), Until: day.AddDate(0, 0, 1), By: by}); u.query != want || u.user != "usr_ada" {
			t.Errorf("got %+v of %q, want %+v", u.query, u.user, want)
		}
	}
	u.report = &pyth.UsageReport{UsageQuery: pyth.UsageQuery{Since: day, Until: day, By: pyth.UsageByDay}}
	if res := s.send(request("GET", "/api/v1/usage", "")); !strings.Contains(res.body, `"items":[],`) || !strings.Contains(res.body, `"quotas":[]`) {
		t.Errorf("got %s", res.body)
	}
	if u.query != (pyth.UsageQuery{}) {
		t.Errorf("got %+v, want no values", u.query)
	}
}

func TestGetUsageRefusesUnknownGroups(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.Usage = &usageService{} })
	for query, want := range map[string]string{"by=days": "did you mean day?", "since=yesterday": "query.since", "from=2026-04-04T00:00:00Z": "query.from"} {
		res := s.send(request("GET", "/api/v1/usage?"+query, ""))
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(res.body, want) {
			t.Errorf("%s: got %d: %s", query, res.StatusCode, res.body)
		}
	}
	if p := newServer(t).send(request("GET", "/api/v1/usage", "")).problem(t); p.Code != string(pyth.CodeNotImplemented) {
		t.Errorf("got %+v", p)
	}
}
