package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// UsageTotals contains the sums of the used resources.
type UsageTotals struct {
	_ struct{} `doc:"The sums of the resources that runs used."`

	Executions     int64 `json:"executions" doc:"The number of runs that have ended. Runs that ended before their program started do not count." example:"120"`
	CPUMs          int64 `json:"cpuMs" doc:"The processor time of all processes of the runs." example:"5400"`
	MemoryMiBMs    int64 `json:"memoryMibMs" doc:"The memory use of the runs. The server multiplies the peak memory of each run in MiB by its wall time in milliseconds, and adds these products." example:"96000"`
	NetworkBytes   int64 `json:"networkBytes" doc:"The number of bytes that the runs sent to other hosts and received from them." example:"0"`
	StorageBytes   int64 `json:"storageBytes" doc:"The size of the encrypted code and output of runs that the server stores now. This size decreases when the server deletes code and output." example:"51200"`
	GenerateTokens int64 `json:"generateTokens" doc:"The sum of the input tokens and the output tokens of the model." example:"0"`
}

// UsageItem is the usage of one group.
type UsageItem struct {
	_ struct{} `doc:"The usage of one day, language or API key."`

	Day      string   `json:"day,omitzero" format:"date" doc:"The day in UTC, if the parameter by is day. A run belongs to the day on which it ended." example:"2026-04-04"`
	Language Language `json:"language,omitzero" doc:"The language, if the parameter by is language." example:"python"`
	KeyID    string   `json:"keyId,omitzero" doc:"The ID of the API key, if the parameter by is key. Absent for runs that somebody started with a token." example:"key_01k7"`
	UsageTotals
}

// UsageQuota describes a quota of the user and how much of this quota is used.
type UsageQuota struct {
	_ struct{} `doc:"A limit of your account, and how much of it you use."`

	Name     QuotaName `json:"name" doc:"The name of the quota." example:"executions_per_day"`
	Limit    int64     `json:"limit" doc:"The maximum." example:"10000"`
	Used     int64     `json:"used" doc:"How much of the limit is used now." example:"120"`
	ResetsAt Timestamp `json:"resetsAt,omitzero" doc:"The time at which the usage is reset to 0. Absent if the usage decreases only when you end or delete something."`
}

// UsageReport is the usage of the user.
type UsageReport struct {
	_ struct{} `doc:"Your usage in a period, and your quotas."`

	By       UsageGroup   `json:"by" doc:"The grouping of the items." example:"day"`
	StartsAt Timestamp    `json:"startsAt" doc:"The beginning of the first day of the period."`
	EndsAt   Timestamp    `json:"endsAt" doc:"The end of the last day of the period."`
	Items    []UsageItem  `json:"items" doc:"The usage of each group: days in order of time, languages in order of name, or at most 1,000 keys in order of ID. Groups without usage are absent."`
	Total    UsageTotals  `json:"total" doc:"The sum of all items."`
	Quotas   []UsageQuota `json:"quotas" doc:"Your current quotas."`
}

type (
	usageInput struct {
		Since time.Time  `query:"since" doc:"The period begins with the day in UTC that contains this time. If absent, the period begins 29 days before the last day. The period has at most 366 days."`
		Until time.Time  `query:"until" doc:"The period ends with the last day in UTC that begins before this time. If absent, the period ends with the current day."`
		By    UsageGroup `query:"by" doc:"The grouping of the usage. If absent, the server groups by day."`
	}
	usageOutput struct{ Body UsageReport }
)

const (
	usagePath = "/api/v1/usage"
	tagUsage  = "Usage"
)

func (h *Handler) registerUsage() {
	totals := map[string]any{
		"executions": 120, "cpuMs": 5400, "memoryMibMs": 96000, "networkBytes": 0, "storageBytes": 51200, "generateTokens": 0,
	}
	item := map[string]any{"day": "2026-04-04"}
	for name, value := range totals {
		item[name] = value
	}
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "getUsage", Method: http.MethodGet, Path: usagePath,
			Summary: "Get the usage and the quotas", Tags: []string{tagUsage},
			Description: "Returns your quotas, and the resources that your runs used in a period, grouped by day, language or API key. Usage also includes runs whose records are deleted.",
		},
		answer: map[string]any{
			"by": "day", "startsAt": "2026-03-06T00:00:00.000Z", "endsAt": "2026-04-05T00:00:00.000Z",
			"items": []any{item}, "total": totals,
			"quotas": []any{map[string]any{"name": "executions_per_day", "limit": 10000, "used": 120, "resetsAt": "2026-04-05T00:00:00.000Z"}},
		},
	}, ifEnabled(h.cfg.Usage != nil, "usage", h.getUsage))
}

func (h *Handler) getUsage(ctx context.Context, in *usageInput) (*usageOutput, error) {
	r, err := h.cfg.Usage.Usage(ctx, caller(ctx).User.ID, pyth.UsageQuery{Since: in.Since, Until: in.Until, By: pyth.UsageOrder(in.By)})
	if err != nil {
		return nil, err
	}
	out := UsageReport{
		By: UsageGroup(r.By), StartsAt: Timestamp(r.Since), EndsAt: Timestamp(r.Until),
		Items: make([]UsageItem, len(r.Items)), Total: usageTotals(r.Total), Quotas: make([]UsageQuota, len(r.Quotas)),
	}
	for i, item := range r.Items {
		out.Items[i] = UsageItem{Language: Language(item.Language), KeyID: string(item.Key), UsageTotals: usageTotals(item.UsageTotals)}
		if !item.Day.IsZero() {
			out.Items[i].Day = item.Day.Format(time.DateOnly)
		}
	}
	for i, q := range r.Quotas {
		out.Quotas[i] = UsageQuota{Name: QuotaName(q.Name), Limit: q.Limit, Used: q.Used, ResetsAt: Timestamp(q.ResetsAt)}
	}
	return &usageOutput{Body: out}, nil
}

func usageTotals(t pyth.UsageTotals) UsageTotals {
	return UsageTotals{
		Executions: t.Executions, CPUMs: t.CPU.Milliseconds(), MemoryMiBMs: t.MemoryMiBMs, NetworkBytes: t.NetworkBytes,
		StorageBytes: t.StorageBytes, GenerateTokens: t.GenerateTokens,
	}
}
