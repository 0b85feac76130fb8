package pyth

import (
	"context"
	"time"
)

// Layers name the packages that a sandbox has beside what all have, one layer
// for each runtime; "" for none. Two that are equal hold the same files.
type Layers struct {
	Python, Node string
}

// Package is a package of a user's list.
type Package struct {
	Name    string
	Version string
	// Requirement is what the user asked for; "" for a package that is there
	// because others need it.
	Requirement string
	Language    Language
	// Direct is whether the user asked for it.
	Direct bool
	// SizeBytes is what its files take.
	SizeBytes   int64
	InstalledAt time.Time
}

// PinnedPackage is a package by what its files are made from.
type PinnedPackage struct {
	Package
	// Place tells packages of a list apart: Node may have several versions of
	// one, each in a directory of its own.
	Place string
	// URL is where the index has its archive, and Hash what that must have: an
	// algorithm, a hyphen and the hash in base64, as in Subresource Integrity.
	URL, Hash string
	// Requires are the places of the packages that it needs.
	Requires []string
}

// PackageList are all packages that a user has for a runtime.
type PackageList struct {
	Runtime Runtime
	// Revision counts the changes, from 1.
	Revision int
	// Layer names the files; "" for none.
	Layer    string
	Packages []*PinnedPackage
}

// PackageProgress hears what is done for a change, in words. An error gives the
// change up.
type PackageProgress func(step, detail string) error

// PackageService keeps users' lists of packages. A change is made as a whole or
// not at all; changes of one list come one after the other. Errors are
// CodeInvalidRequirement, CodeUnsatisfiable, CodeIndexUnavailable, CodeTooLarge,
// or those of a Dispatcher. It is safe for concurrent use. Progress may be nil.
type PackageService interface {
	// Packages lists the user's, of all languages if it is "".
	Packages(ctx context.Context, user UserID, language Language) ([]*Package, error)
	// SetPackages replaces the list by the newest packages that satisfy the
	// requirements and what they need.
	SetPackages(ctx context.Context, user UserID, language Language, requirements []string, progress PackageProgress) ([]*Package, error)
	// AddPackage adds a package, or replaces what was required of it. Others stay
	// as they are if that is possible.
	AddPackage(ctx context.Context, user UserID, language Language, requirement string, progress PackageProgress) (p *Package, added bool, err error)
	// RemovePackage removes a package that was asked for, with what nothing else
	// needs; CodeNotFound if there is none, and CodeConflict if others need it.
	// Without a language it looks in all lists, Python's first.
	RemovePackage(ctx context.Context, user UserID, language Language, name string) error
}

// PackageSource tells which packages a user's runs have now.
type PackageSource interface {
	// Layers sees to it that the files are there.
	Layers(ctx context.Context, user UserID) (Layers, error)
}
