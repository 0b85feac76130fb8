package packages

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

const maxDownloads = 4

// pin adds the resolved packages to the next lockfile, sorted by the field Place. A
// package keeps its installation time if the current lockfile contains the same package
// with the same place and hash. The method returns ErrResult if the result of the
// resolver lacks a required package.
func (s *Service) pin(r Resolver, next, current *pyth.PackageList, resolved []*resolve.Candidate, direct []resolve.Requirement) error {
	now := s.config.Clock()
	required := map[string]resolve.Requirement{}
	for _, d := range direct {
		required[d.Name] = d
	}
	for _, c := range resolved {
		p := c.PinnedPackage
		p.InstalledAt = now
		if d, ok := required[p.Name]; ok && r.Importable(&p) {
			p.Direct, p.Requirement = true, d.Text
			delete(required, p.Name)
		}
		for _, old := range current.Packages {
			if old.Place == p.Place && old.Hash == p.Hash {
				p.InstalledAt = old.InstalledAt
			}
		}
		next.Packages = append(next.Packages, &p)
	}
	if len(required) > 0 {
		return resolve.ErrResult
	}
	slices.SortFunc(next.Packages, func(p, q *pyth.PinnedPackage) int { return strings.Compare(p.Place, q.Place) })
	return nil
}

// The function "without" returns a copy of the lockfile without one direct package. The
// parameter "removed" is the index of this package. The result contains only packages
// that are still needed.
func without(list *pyth.PackageList, removed int) *pyth.PackageList {
	next := &pyth.PackageList{Runtime: list.Runtime, Revision: list.Revision + 1}
	for i, p := range list.Packages {
		one := *p
		if i == removed {
			one.Direct, one.Requirement = false, ""
		}
		next.Packages = append(next.Packages, &one)
	}
	next.Packages = needed(next.Packages)
	return next
}

// The function "needed" returns the direct packages and all packages on which they
// depend.
func needed(packages []*pyth.PinnedPackage) []*pyth.PinnedPackage {
	byPlace := map[string]*pyth.PinnedPackage{}
	var pending []string
	for _, p := range packages {
		byPlace[p.Place] = p
		if p.Direct {
			pending = append(pending, p.Place)
		}
	}
	kept := map[string]bool{}
	for len(pending) > 0 {
		place := pending[0]
		pending = pending[1:]
		if p := byPlace[place]; p != nil && !kept[place] {
			kept[place] = true
			pending = append(pending, p.Requires...)
		}
	}
	return slices.DeleteFunc(slices.Clone(packages), func(p *pyth.PinnedPackage) bool { return !kept[p.Place] })
}

// difference returns the names and versions of the packages that are in the first
// lockfile but not in the second.
func difference(of, other *pyth.PackageList) []string {
	has := map[string]bool{}
	for _, p := range other.Packages {
		has[p.Name+" "+p.Version] = true
	}
	names := []string{}
	for _, p := range of.Packages {
		if name := p.Name + " " + p.Version; !has[name] {
			has[name] = true
			names = append(names, name)
		}
	}
	return names
}

// install makes the missing images of the packages in a lockfile. It also makes the layer
// with these images. It sets the sizes and the layer in the lockfile. For each package,
// the function "archive" returns a function that downloads the archive.
func (s *Service) install(ctx context.Context, user pyth.UserID, r Resolver, list *pyth.PackageList,
	archive func(*pyth.PinnedPackage) resolve.Archive, report pyth.PackageProgress,
) error {
	return s.installWithin(ctx, user, r, list, s.config.MaxBytes, archive, report)
}

// noLimit is the maximum size of all packages if there is no limit.
const noLimit = math.MaxInt64

// installWithin does the same as install. In addition, it has a parameter for the maximum
// size of all packages in bytes.
func (s *Service) installWithin(ctx context.Context, user pyth.UserID, r Resolver, list *pyth.PackageList, maxBytes int64,
	archive func(*pyth.PinnedPackage) resolve.Archive, report pyth.PackageProgress,
) error {
	defer s.config.Images.Hold()()
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(maxDownloads)
	for _, p := range list.Packages {
		if err := report("install", p.Name+" "+p.Version); err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error { return s.makeImage(inner, user, r, p, archive(p)) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var size int64
	packages := make([]imagestore.Package, len(list.Packages))
	for i, p := range list.Packages {
		size += p.SizeBytes
		packages[i] = imagestore.Package{PinnedPackage: p, Key: r.ImageKey(p)}
	}
	if size > maxBytes {
		return pyth.Errorf(pyth.CodeTooLarge, "The size of the packages and their dependencies is %s bytes, but the maximum is %s bytes. Request fewer or smaller packages.", pyth.Digits(size), pyth.Digits(maxBytes))
	}
	var err error
	list.Layer, err = s.config.Images.Layer(ctx, list.Runtime, packages)
	return err
}

// makeImage sets the size of a package. If the image of the package is missing, makeImage
// makes the image. It returns errors with messages for users.
func (s *Service) makeImage(ctx context.Context, user pyth.UserID, r Resolver, p *pyth.PinnedPackage, archive resolve.Archive) error {
	size, err := s.config.Images.Image(ctx, r.ImageKey(p), s.config.MaxBytes, func(to *os.File) error {
		path, err := archive(ctx)
		if err != nil {
			return err
		}
		return r.BuildImage(ctx, user, p, path, to, s.config.MaxBytes)
	})
	p.SizeBytes = size
	switch {
	case err == nil:
		return nil
	case errors.Is(err, imagestore.ErrTooLarge) && pyth.ErrorCode(err) == pyth.CodeInternal:
		return resolve.InvalidArchive(p.Name, p.Version, imagestore.ErrTooLarge)
	case pyth.ErrorCode(err) != pyth.CodeInternal || ctx.Err() != nil:
		return err
	case errors.Is(err, imagestore.ErrHash):
		return resolve.InvalidArchive(p.Name, p.Version, errors.New("does not match the hash in the index"))
	}
	return index.Unavailable(fmt.Errorf("%s %s: %w", p.Name, p.Version, err))
}

// restore makes the missing files of a lockfile and returns the ID of its layer.
func (s *Service) restore(ctx context.Context, user pyth.UserID, r Resolver) (layer pyth.LayerID, err error) {
	runtime := r.Language().Runtime()
	err = s.withLockfile(ctx, user, runtime, func(ctx context.Context, list *pyth.PackageList) error {
		s.config.Logger.InfoContext(ctx, "downloading missing packages of a user", "user_id", user, "runtime", runtime, "packages", len(list.Packages))
		before := list.Layer
		err := s.install(ctx, user, r, list, r.Archive, discardProgress)
		layer = list.Layer
		if err == nil && layer != before {
			// An earlier release of the server made this layer. This release makes
			// different files from the same archives, so the layer has a different ID.
			list.Revision++
			err = s.config.Store.PutPackageList(ctx, user, list)
		}
		return err
	})
	return layer, err
}

func discardProgress(string, string) error { return nil }
