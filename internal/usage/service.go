// Package usage reports which resources users use. It also limits the runs of each user
// on a day.
package usage

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Config configures a Service. All fields are required.
type Config struct {
	Store pyth.UsageStore
	// Sync waits until the records of the user's ended runs are stored.
	Sync  func(ctx context.Context, user pyth.UserID) error
	Clock func() time.Time
	// Sources contains the services that report quotas of users. The report has the same
	// order.
	Sources []pyth.QuotaSource
}

// Service implements pyth.UsageService. It is safe for concurrent use.
type Service struct{ config Config }

var _ pyth.UsageService = (*Service)(nil)

// New returns a Service.
func New(config Config) *Service { return &Service{config} }

const (
	// defaultDays is the number of days in a report without Since, including the last
	// day.
	defaultDays = 30
	// maxDays is the maximum number of days in a report.
	maxDays = 366
	// maxKeys is the maximum number of API keys in a report.
	maxKeys = 1000
)

// Usage rounds the period of the query to whole days. It returns the usage of these
// days. By default, Until is the current time, and Since is 29 days earlier.
func (s *Service) Usage(ctx context.Context, user pyth.UserID, q pyth.UsageQuery) (*pyth.UsageReport, error) {
	if err := s.complete(&q); err != nil {
		return nil, err
	}
	if err := s.config.Sync(ctx, user); err != nil {
		return nil, err
	}
	items, err := s.config.Store.Usage(ctx, user, q, maxKeys)
	if err != nil {
		return nil, err
	}
	report := &pyth.UsageReport{UsageQuery: q, Items: items}
	for _, i := range items {
		report.Total.Add(i.UsageTotals)
	}
	for _, source := range s.config.Sources {
		quotas, err := source.Quotas(ctx, user)
		if err != nil {
			return nil, err
		}
		report.Quotas = append(report.Quotas, quotas...)
	}
	return report, nil
}

// The method "complete" sets the defaults of the query, and extends its period to whole
// days.
func (s *Service) complete(q *pyth.UsageQuery) error {
	if q.By == "" {
		q.By = pyth.UsageByDay
	}
	now := s.config.Clock()
	if q.Until.IsZero() {
		q.Until = nextDay(now)
	} else if day := pyth.DayOf(q.Until); day.Before(q.Until) {
		q.Until = nextDay(q.Until)
	} else {
		q.Until = day
	}
	if q.Since.IsZero() {
		q.Since = q.Until.AddDate(0, 0, -defaultDays)
	}
	q.Since = pyth.DayOf(q.Since)
	switch {
	case !q.Since.Before(q.Until):
		return pyth.Invalid("query.since", "must be before until, or before the current time if until is absent")
	case q.Until.Sub(q.Since) > maxDays*24*time.Hour:
		return pyth.Invalid("query.since", "must be at most %d days before until", maxDays)
	}
	return nil
}
