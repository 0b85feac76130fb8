package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pyth-on/pyth-on/internal/packages/indextest"
)

const packagesOfATenant = 50

const packagesPath = "/api/v1/packages"

// measurePackages measures how much packages and secrets slow down runs. It also
// measures how long the installation of packages takes.
func (b *bench) measurePackages(ctx context.Context) error {
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
		took, err := owner.setPackages(ctx, names)
		if err != nil {
			return err
		}
		b.results.installed.add([]float64{took.Seconds()})
		keeper, err := s.registerWithSecrets(ctx)
		if err != nil {
			return err
		}
		// Runs with and without packages differ only a little. So measure many rounds.
		n := 5 * b.plan.latencyRounds
		if err := alternate(ctx, n, b.progress.rounds("Runs with packages, and with secrets", n),
			subject{b.results.pacedWithout, withRest(repeatWithPause(8, restTime/2, tenant.runAnswer))},
			subject{b.results.pacedPackages, withRest(repeatWithPause(8, restTime/2, owner.runAnswer))},
			subject{b.results.pacedSecrets, withRest(repeatWithPause(8, restTime/2, keeper.runAnswer))},
		); err != nil {
			return err
		}
		n = b.plan.latencyRounds
		// Measure installations only after all runs, because the background work of an
		// installation would affect the runs.
		return alternate(ctx, n, b.progress.rounds("Installing cached packages", n),
			subject{b.results.installedAgain, withRest(repeatN(1, func(ctx context.Context) (time.Duration, error) {
				other, err := s.register(ctx)
				if err != nil {
					return 0, err
				}
				return other.setPackages(ctx, names)
			}))},
		)
	})
}

// manyWheels returns wheels and the names of their packages. Each wheel contains ten
// modules.
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

// setPackages replaces the packages of the account and returns the duration of the
// request.
func (a *account) setPackages(ctx context.Context, names []string) (time.Duration, error) {
	var list struct{ Packages []struct{ Name string } }
	took, err := a.call(ctx, http.MethodPut, packagesPath, map[string]any{"packages": names}, http.StatusOK, &list)
	if err == nil && len(list.Packages) != len(names) {
		err = fmt.Errorf("install packages: %d are installed", len(list.Packages))
	}
	return took, err
}
