package main

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// generatePackages lets programs that a model wrote have the packages that they
// lack.
type generatePackages struct{ of pyth.PackageService }

// Installed lists the user's packages.
func (p generatePackages) Installed(ctx context.Context, user pyth.UserID, language pyth.Language) ([]string, error) {
	all, err := p.of.Packages(ctx, user, language)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.Name + " " + one.Version
	}
	return names, nil
}

// Install adds the packages to what the user asked for, all or none.
func (p generatePackages) Install(ctx context.Context, user pyth.UserID, language pyth.Language, names []string) error {
	all, err := p.of.Packages(ctx, user, language)
	if err != nil {
		return err
	}
	var requirements []string
	for _, one := range all {
		if one.Direct {
			requirements = append(requirements, one.Requirement)
		}
	}
	_, err = p.of.SetPackages(ctx, user, language, append(requirements, names...), nil)
	return err
}
