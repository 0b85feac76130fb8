package app

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// packageMetrics counts and times the changes of users' packages.
type packageMetrics struct {
	changes   *prometheus.CounterVec
	installed *prometheus.CounterVec
	took      prometheus.Histogram
}

// Values of the label "result" for changes of packages. The result is "refused" if the
// request caused the failure, for example if a package does not exist.
const (
	packagesChanged  = "changed"
	packagesRefused  = "refused"
	packagesFailed   = "failed"
	packagesCanceled = "canceled"
)

func newPackageMetrics() *packageMetrics {
	m := &packageMetrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_package_changes_total", Help: "Requests to install or remove packages, by runtime and result.",
		}, []string{"runtime", "result"}),
		installed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_packages_installed_total", Help: "Installed packages, including dependencies, by runtime.",
		}, []string{"runtime"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_package_change_seconds", Help: "Duration of successful requests to install or remove packages.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640},
		}),
	}
	for _, r := range pyth.Runtimes() {
		m.installed.WithLabelValues(string(r))
		for _, result := range []string{packagesChanged, packagesRefused, packagesFailed, packagesCanceled} {
			m.changes.WithLabelValues(string(r), result)
		}
	}
	return m
}

func (m *packageMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.changes, m.installed, m.took}
}

// measure returns a service that passes all calls to the service "next" and measures
// the changes.
func (m *packageMetrics) measure(next pyth.PackageService) pyth.PackageService {
	return measuredPackages{next, m}
}

type measuredPackages struct {
	pyth.PackageService
	metrics *packageMetrics
}

func (s measuredPackages) SetPackages(ctx context.Context, user pyth.UserID, language pyth.Language, requirements []string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	started := time.Now()
	change, err := s.PackageService.SetPackages(ctx, user, language, requirements, progress)
	s.metrics.ended(ctx, language, started, change, err)
	return change, err
}

func (s measuredPackages) AddPackage(ctx context.Context, user pyth.UserID, language pyth.Language, requirement string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	started := time.Now()
	change, err := s.PackageService.AddPackage(ctx, user, language, requirement, progress)
	s.metrics.ended(ctx, language, started, change, err)
	return change, err
}

func (s measuredPackages) RemovePackage(ctx context.Context, user pyth.UserID, language pyth.Language, name string) (*pyth.PackageChange, error) {
	started := time.Now()
	change, err := s.PackageService.RemovePackage(ctx, user, language, name)
	s.metrics.ended(ctx, language, started, change, err)
	return change, err
}

// The method "ended" counts a change of packages. If the change failed before its
// language was known, the method counts the change for Python.
func (m *packageMetrics) ended(ctx context.Context, language pyth.Language, started time.Time, change *pyth.PackageChange, err error) {
	if err == nil {
		language = change.Language
	}
	runtime := string(cmp.Or(language, pyth.Python).Runtime())
	m.changes.WithLabelValues(runtime, packageResult(ctx, err)).Inc()
	if err == nil {
		m.took.Observe(time.Since(started).Seconds())
		m.installed.WithLabelValues(runtime).Add(float64(len(change.Added)))
	}
}

func packageResult(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return packagesChanged
	case ctx.Err() != nil:
		return packagesCanceled
	case problem.Find(pyth.ErrorCode(err)).Status < 500:
		return packagesRefused
	default:
		return packagesFailed
	}
}
