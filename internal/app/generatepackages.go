package app

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// generatePackages installs the packages that generated programs import. It implements
// generate.Packages.
type generatePackages struct{ service pyth.PackageService }

// Installed returns the names and versions of the user's packages.
func (p generatePackages) Installed(ctx context.Context, user pyth.UserID, language pyth.Language) ([]string, error) {
	all, err := p.service.Packages(ctx, user, language)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.Name + " " + one.Version
	}
	return names, nil
}

// Install adds new packages to the user's packages. If Install cannot install one of
// the new packages, it installs none.
func (p generatePackages) Install(ctx context.Context, user pyth.UserID, language pyth.Language, names []string) error {
	all, err := p.service.Packages(ctx, user, language)
	if err != nil {
		return err
	}
	var requirements []string
	for _, one := range all {
		if one.Direct {
			requirements = append(requirements, one.Requirement)
		}
	}
	_, err = p.service.SetPackages(ctx, user, language, append(requirements, names...), nil)
	return err
}
