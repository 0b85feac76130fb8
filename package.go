package pyth

import (
	"context"
	"time"
)

// LayerID identifies a layer. A layer is an image that contains packages of one
// runtime. Layers with the same ID contain the same files.
type LayerID string

// Layers holds the IDs of the layers that a sandbox mounts. It has one element for each
// built-in runtime, in the order of the function Runtimes. An element is "" if there is
// no layer for the runtime. The operator == can compare two values of Layers.
type Layers [len(runtimes)]LayerID

// Of returns the ID of the layer for the runtime. It returns "" for a custom image.
func (l Layers) Of(r Runtime) LayerID {
	if i := r.index(); i >= 0 {
		return l[i]
	}
	return ""
}

// With returns a copy of the layers in which the built-in runtime r has the given
// layer.
func (l Layers) With(r Runtime, layer LayerID) Layers {
	if i := r.index(); i >= 0 {
		l[i] = layer
	}
	return l
}

// Package describes an installed package of a user.
type Package struct {
	Name    string
	Version string
	// Requirement is the requirement from the user's request. It is "" if the package
	// is only a dependency.
	Requirement string
	Language    Language
	// Direct is true if the user requested the package, and false if the package is
	// only a dependency.
	Direct bool
	// SizeBytes is the total size of the package's files.
	SizeBytes   int64
	InstalledAt time.Time
}

// PinnedPackage is an entry of a lockfile: a package, its version and its archive.
type PinnedPackage struct {
	Package
	// Place identifies the package within a lockfile. A Node lockfile may contain
	// several versions of a package. Each version has its own directory.
	Place string
	// URL is the address of the archive. Hash is the expected hash of the archive in
	// the format of Subresource Integrity. This format consists of the algorithm, the
	// character "-" and the hash in base64, for example "sha256-…".
	URL, Hash string
	// Requires contains the field Place of each dependency.
	Requires []string
}

// PackageList is the lockfile of a user for one runtime.
type PackageList struct {
	Runtime Runtime
	// Revision counts the changes of the lockfile. The first change has the revision 1.
	Revision int
	// Layer is the layer with the files of all packages. It is "" if there are no
	// packages.
	Layer    LayerID
	Packages []*PinnedPackage
}

// PackageProgress receives the name and the details of each step while packages change.
// If it returns an error, the change is canceled.
type PackageProgress func(step, detail string) error

// PackageChange describes a completed change of a user's packages.
type PackageChange struct {
	// Language is the language of the changed packages: Python or JavaScript.
	Language Language
	// Packages contains all packages that the user has for the language after the
	// change.
	Packages []*Package
	// Package is the package that AddPackage added or changed. Created is true if the
	// user did not have the package before. Other methods do not set Package and
	// Created.
	Package *Package
	Created bool
	// Added and Removed list the packages that the change added and removed. Each
	// element contains a name and a version, such as "numpy 2.4.1".
	Added, Removed []string
}

// PackageService manages the packages of users. It is safe for concurrent use. Each
// change is atomic. The changes for one user and one runtime run one after another. A
// change fails with CodeInvalidRequirement, CodeUnsatisfiable, CodeIndexUnavailable,
// CodeTooLarge or an error of Dispatch. The parameter "progress" may be nil.
type PackageService interface {
	// Packages returns the user's packages for the language. If language is "", it
	// returns the packages for all languages.
	Packages(ctx context.Context, user UserID, language Language) ([]*Package, error)
	// SetPackages replaces all packages of the language. It installs the newest
	// versions that satisfy the requirements, and their dependencies.
	SetPackages(ctx context.Context, user UserID, language Language, requirements []string, progress PackageProgress) (*PackageChange, error)
	// AddPackage adds a package, or changes its requirement. Other packages keep their
	// versions if possible.
	AddPackage(ctx context.Context, user UserID, language Language, requirement string, progress PackageProgress) (*PackageChange, error)
	// RemovePackage removes a package that the user requested. It also removes
	// dependencies that no other package needs. If another package needs the package,
	// RemovePackage deletes only the user's requirement, and the package stays installed
	// as a dependency. RemovePackage fails with CodeNotFound if the package is not
	// installed. It fails with CodeConflict if the package is only a dependency. If
	// language is "", RemovePackage searches the lockfiles of all languages, Python
	// first.
	RemovePackage(ctx context.Context, user UserID, language Language, name string) (*PackageChange, error)
}

// PackageSource returns the layers (images with packages) that new runs need.
type PackageSource interface {
	// Layers returns the user's layers. If files are missing, it first downloads or
	// builds these files.
	Layers(ctx context.Context, user UserID) (Layers, error)
}
