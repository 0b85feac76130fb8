package pyth

import (
	"context"
	"slices"
	"time"
)

// LayerID identifies a layer: an image with packages of one runtime. Layers with
// the same ID hold the same files.
type LayerID string

// Layers are the layers that a sandbox mounts, one for each built-in runtime and
// in their order; "" for none. Layers can be compared.
type Layers [len(builtinRuntimes)]LayerID

// Of returns the layer of the runtime. Custom images have none.
func (l Layers) Of(r Runtime) LayerID {
	if i := slices.Index(builtinRuntimes[:], r); i >= 0 {
		return l[i]
	}
	return ""
}

// With returns the layers with that of a built-in runtime replaced.
func (l Layers) With(r Runtime, layer LayerID) Layers {
	if i := slices.Index(builtinRuntimes[:], r); i >= 0 {
		l[i] = layer
	}
	return l
}

// Package is an installed package of a user.
type Package struct {
	Name    string
	Version string
	// Requirement is the requirement that the user gave; "" for a dependency of
	// other packages.
	Requirement string
	Language    Language
	// Direct reports that the user required the package.
	Direct bool
	// SizeBytes is the total size of its files.
	SizeBytes   int64
	InstalledAt time.Time
}

// PinnedPackage is an entry of a lockfile: a package with its exact archive.
type PinnedPackage struct {
	Package
	// Place identifies the package within a lockfile. Node may have several versions
	// of one package, each in a separate directory.
	Place string
	// URL is the address of the archive. Hash is the required hash of the archive:
	// algorithm, hyphen and hash in base64, as in Subresource Integrity.
	URL, Hash string
	// Requires lists the places of its dependencies.
	Requires []string
}

// PackageList is the lockfile of a user for one runtime.
type PackageList struct {
	Runtime Runtime
	// Revision is the number of changes, from 1.
	Revision int
	// Layer holds the files of all packages; "" for none.
	Layer    LayerID
	Packages []*PinnedPackage
}

// PackageProgress receives the progress of a change, in words. An error cancels the
// change.
type PackageProgress func(step, detail string) error

// PackageChange is a change of a user's packages that took effect.
type PackageChange struct {
	// Language names the list that changed: Python or JavaScript.
	Language Language
	// Packages is the new list.
	Packages []*Package
	// Package is the one that AddPackage added or replaced, and Created reports
	// that the list did not have it before. Other calls set neither.
	Package *Package
	Created bool
	// Added and Removed name packages with their versions, such as "numpy 2.4.1".
	Added, Removed []string
}

// PackageService manages the packages of users. Changes are atomic, and changes of
// one lockfile are serialized. Errors are CodeInvalidRequirement,
// CodeUnsatisfiable, CodeIndexUnavailable, CodeTooLarge, or those of a Dispatcher. It
// is safe for concurrent use. Progress may be nil.
type PackageService interface {
	// Packages lists the user's packages for the language, or for all languages if
	// it is "".
	Packages(ctx context.Context, user UserID, language Language) ([]*Package, error)
	// SetPackages replaces all packages by the newest ones that satisfy the
	// requirements, with their dependencies.
	SetPackages(ctx context.Context, user UserID, language Language, requirements []string, progress PackageProgress) (*PackageChange, error)
	// AddPackage adds a package, or replaces its requirement. Other packages keep
	// their versions if possible.
	AddPackage(ctx context.Context, user UserID, language Language, requirement string, progress PackageProgress) (*PackageChange, error)
	// RemovePackage removes a required package and the dependencies that no other
	// package needs. It fails with CodeNotFound if the package is not installed, and
	// with CodeConflict if other packages need it. If language is "" it searches all
	// lockfiles, Python's first.
	RemovePackage(ctx context.Context, user UserID, language Language, name string) (*PackageChange, error)
}

// PackageSource resolves the package layers for new runs.
type PackageSource interface {
	// Layers returns the user's layers and makes sure that their files exist.
	Layers(ctx context.Context, user UserID) (Layers, error)
}
