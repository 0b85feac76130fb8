package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pyth-on/pyth-on/internal/packages/indextest"
)

// packagesOfATenant is the number of packages that a tenant installs.
const packagesOfATenant = 50

const packagesPath = "/api/v1/packages"

// withPackages measures the cost of packages and secrets for runs, and the time to
// install packages.
func (b *bench) withPackages(ctx context.Context) error {
	wheels, names := manyWheels()
	index, err := indextest.Start(wheels...)
	if err != nil {
		return err
	}
	defer index.Close()
	return b.serve(ctx, b.warmData, []string{"--warm-node=0", index.Flag()}, func(s *server) error {
		tenant, err := s.register(ctx)
		if err != nil {
			return err
		}
		owner, err := s.register(ctx)
		if err != nil {
			return err
		}
		b.progress.step(fmt.Sprintf("Installing %d packages", len(names)))
		took, err := owner.installs(ctx, names)
		if err != nil {
			return err
		}
		b.results.installed.add([]float64{took.Seconds()})
		keeper, err := s.registerWithSecrets(ctx)
		if err != nil {
			return err
		}
		// A small difference needs many rounds.
		n := 5 * b.plan.latencyRounds
		if err := alternate(ctx, n, b.progress.rounds("Runs with packages, and with secrets", n),
			subject{b.results.pacedWithout, resting(pausing(8, rest/2, tenant.answers))},
			subject{b.results.pacedPackages, resting(pausing(8, rest/2, owner.answers))},
			subject{b.results.pacedSecrets, resting(pausing(8, rest/2, keeper.answers))},
		); err != nil {
			return err
		}
		n = b.plan.latencyRounds
		// Installs do not alternate with runs, since their background work would disturb
		// the runs.
		return alternate(ctx, n, b.progress.rounds("Installing cached packages", n),
			subject{b.results.installedAgain, resting(times(1, func(ctx context.Context) (time.Duration, error) {
				other, err := s.register(ctx)
				if err != nil {
					return 0, err
				}
				return other.installs(ctx, names)
			}))},
		)
	})
}

// manyWheels makes packages of a few modules each.
func manyWheels() (wheels []indextest.Wheel, names []string) {
	for i := range packagesOfATenant {
		name := fmt.Sprintf("bench%d", i)
		w := indextest.Wheel{Name: name, Version: "1.0", Files: map[string]string{}}
		for m := range 10 {
			w.Files[fmt.Sprintf("%s/m%d.py", name, m)] = fmt.Sprintf("def answer():\n    return %d\n", m)
		}
		wheels, names = append(wheels, w), append(names, name)
	}
	return wheels, names
}

// installs replaces the tenant's list.
func (a *account) installs(ctx context.Context, names []string) (time.Duration, error) {
	var list struct{ Packages []struct{ Name string } }
	took, err := a.call(ctx, http.MethodPut, packagesPath, map[string]any{"packages": names}, http.StatusOK, &list)
	if err == nil && len(list.Packages) != len(names) {
		err = fmt.Errorf("install packages: %d are installed", len(list.Packages))
	}
	return took, err
}
