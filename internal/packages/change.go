package packages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// SetPackages replaces the user's list of packages for a language. It resolves all
// requirements again and uses the newest versions.
func (s *Service) SetPackages(ctx context.Context, user pyth.UserID, language pyth.Language, requirements []string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	r, err := s.resolver(language.Runtime())
	if err != nil {
		return nil, err
	}
	direct, err := s.parseAll(r, requirements)
	if err != nil {
		return nil, err
	}
	return s.change(ctx, user, r, progress, func(*pyth.PackageList) (resolve.Request, error) {
		return resolve.Request{Direct: direct}, nil
	})
}

// parseAll parses the requirements. It returns an error if two requirements name the same
// package.
func (s *Service) parseAll(r Resolver, requirements []string) ([]resolve.Requirement, error) {
	if len(requirements) > s.config.MaxPackages {
		return nil, invalid("body.packages", fmt.Errorf("must have at most %d packages", s.config.MaxPackages))
	}
	all := make([]resolve.Requirement, 0, len(requirements))
	var errs pyth.FieldErrors
	for i, text := range requirements {
		one, err := r.Parse(text)
		if err == nil && slices.ContainsFunc(all, func(other resolve.Requirement) bool { return other.Name == one.Name }) {
			err = errors.New("must not contain the same package twice")
		}
		if err != nil {
			errs.Add(fmt.Sprintf("body.packages[%d]", i), "%v", err)
			continue
		}
		all = append(all, one)
	}
	if len(errs) > 0 {
		return nil, errs.As(pyth.CodeInvalidRequirement)
	}
	return all, nil
}

func invalid(location string, err error) error {
	return pyth.FieldErrors{{Location: location, Message: err.Error()}}.As(pyth.CodeInvalidRequirement)
}

// errUnchanged is an internal error for a change that would have no effect. The caller of
// the service does not receive it.
var errUnchanged = errors.New("packages: nothing to change")

// AddPackage adds a package to the user's list. If the list already has a requirement for
// this package, AddPackage replaces it.
func (s *Service) AddPackage(ctx context.Context, user pyth.UserID, language pyth.Language, text string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	r, err := s.resolver(language.Runtime())
	if err != nil {
		return nil, err
	}
	added, err := r.Parse(text)
	if err != nil {
		return nil, invalid("body.package", err)
	}
	created := true
	change, err := s.change(ctx, user, r, progress, func(list *pyth.PackageList) (resolve.Request, error) {
		for _, p := range list.Packages {
			if p.Direct && p.Name == added.Name {
				created = false
				if p.Requirement == added.Text {
					return resolve.Request{}, errUnchanged
				}
			}
		}
		return requestWith(r, list, added)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range change.Packages {
		if p.Name == added.Name && p.Direct {
			change.Package, change.Created = p, created
			return change, nil
		}
	}
	return nil, resolve.ErrResult
}

// requestWith returns a request for the added requirement and the direct packages of the
// list. The request asks the resolver to keep the versions of all packages except the
// added package.
func requestWith(r Resolver, list *pyth.PackageList, added resolve.Requirement) (resolve.Request, error) {
	var request resolve.Request
	for _, p := range list.Packages {
		if p.Name == added.Name {
			continue
		}
		request.Keep = append(request.Keep, p)
		if !p.Direct {
			continue
		}
		direct, err := r.Parse(p.Requirement)
		if err != nil {
			return resolve.Request{}, err
		}
		request.Direct = append(request.Direct, direct)
	}
	request.Direct = append(request.Direct, added)
	return request, nil
}

// RemovePackage removes a package from the user's list. It also removes the dependencies
// that no other package needs. If another package depends on the package, RemovePackage
// removes only the user's requirement, and the package stays installed as a dependency.
//
// The remaining packages keep their versions. If language is "", RemovePackage
// searches the lockfiles of all runtimes.
func (s *Service) RemovePackage(ctx context.Context, user pyth.UserID, language pyth.Language, name string) (change *pyth.PackageChange, err error) {
	r, err := s.resolver(language.Runtime())
	if language == "" {
		r, err = s.resolverWith(ctx, user, name)
	}
	if err != nil {
		return nil, err
	}
	name = r.Normalize(name)
	err = s.withLockfile(ctx, user, r.Language().Runtime(), func(ctx context.Context, list *pyth.PackageList) error {
		named := func(p *pyth.PinnedPackage) bool { return p.Name == name }
		at := slices.IndexFunc(list.Packages, func(p *pyth.PinnedPackage) bool { return named(p) && p.Direct })
		switch {
		case at >= 0:
		case slices.ContainsFunc(list.Packages, named):
			return pyth.Errorf(pyth.CodeConflict, "Other packages need this package. If you remove the other packages, the server also removes this package.")
		default:
			return pyth.Errorf(pyth.CodeNotFound, "This package is not installed.")
		}
		next := without(list, at)
		// Usually the images of all packages exist. The method "install" makes missing
		// images.
		if err := s.install(ctx, user, r, next, r.Archive, discardProgress); err != nil {
			return err
		}
		change = changeOf(r, list, next)
		return s.commit(ctx, user, next)
	})
	return change, err
}

// resolverWith returns the resolver of the runtime whose lockfile contains the package.
// If several lockfiles contain the package, it prefers a lockfile that requires the
// package directly. If no lockfile contains the package, it returns the first resolver.
func (s *Service) resolverWith(ctx context.Context, user pyth.UserID, name string) (Resolver, error) {
	var needs Resolver
	for _, r := range s.config.Resolvers {
		list, err := s.config.Store.PackageList(ctx, user, r.Language().Runtime())
		if err != nil {
			return nil, err
		}
		for _, p := range list.Packages {
			switch {
			case p.Name != r.Normalize(name):
			case p.Direct:
				return r, nil
			case needs == nil:
				needs = r
			}
		}
	}
	return cmp.Or(needs, s.config.Resolvers[0]), nil
}

// withLockfile reads the user's lockfile for the runtime and passes it to f. It holds the
// lock of the lockfile until f returns. So two changes of the same lockfile never run at
// the same time.
func (s *Service) withLockfile(ctx context.Context, user pyth.UserID, runtime pyth.Runtime, f func(context.Context, *pyth.PackageList) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	return s.changing.Do(ctx, string(user)+"\x00"+string(runtime), func() error {
		list, err := s.config.Store.PackageList(ctx, user, runtime)
		if err != nil {
			return err
		}
		return f(ctx, list)
	})
}

// inSlot waits for a free slot and calls f. The number of slots limits the concurrent
// changes on this server. A user can hold only one slot at a time. So no user can block
// the others.
func (s *Service) inSlot(ctx context.Context, user pyth.UserID, f func() error) error {
	return s.changing.Do(ctx, string(user), func() error {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-s.slots }()
		return f()
	})
}

// change replaces a lockfile. It gets the request from the function "plan". Then it
// resolves and installs the packages, and stores the new lockfile.
func (s *Service) change(ctx context.Context, user pyth.UserID, r Resolver, progress pyth.PackageProgress,
	plan func(*pyth.PackageList) (resolve.Request, error),
) (change *pyth.PackageChange, err error) {
	report := func(step, detail string) error {
		if progress == nil {
			return ctx.Err()
		}
		return errors.Join(ctx.Err(), progress(step, detail))
	}
	err = s.withLockfile(ctx, user, r.Language().Runtime(), func(ctx context.Context, list *pyth.PackageList) error {
		request, err := plan(list)
		if errors.Is(err, errUnchanged) {
			change = changeOf(r, list, list)
			return nil
		}
		if err != nil {
			return err
		}
		return s.inSlot(ctx, user, func() error {
			next, err := s.prepare(ctx, user, r, list, request, report)
			if err != nil {
				return err
			}
			change = changeOf(r, list, next)
			return s.commit(ctx, user, next)
		})
	})
	return change, err
}

func changeOf(r Resolver, before, after *pyth.PackageList) *pyth.PackageChange {
	return &pyth.PackageChange{
		Language: r.Language(), Packages: packagesOf(after),
		Added: difference(after, before), Removed: difference(before, after),
	}
}

// prepare resolves the request, installs the packages, and returns the new lockfile. If
// the versions to keep are incompatible with the requirements, the method resolves the
// request again and allows all versions.
func (s *Service) prepare(ctx context.Context, user pyth.UserID, r Resolver, list *pyth.PackageList, request resolve.Request, report pyth.PackageProgress) (*pyth.PackageList, error) {
	next := &pyth.PackageList{Runtime: list.Runtime, Revision: list.Revision + 1}
	if len(request.Direct) == 0 {
		return next, nil
	}
	if err := report("resolve", "Searching for compatible versions"); err != nil {
		return nil, err
	}
	resolved, err := r.Resolve(ctx, user, request, report)
	if pyth.ErrorCode(err) == pyth.CodeUnsatisfiable && len(request.Keep) > 0 {
		// Try again and allow other versions of the installed packages.
		if err := report("resolve", "Searching for other versions of the installed packages"); err != nil {
			return nil, err
		}
		resolved, err = r.Resolve(ctx, user, resolve.Request{Direct: request.Direct}, report)
	}
	if errors.Is(err, resolve.ErrResult) {
		err = index.Unavailable(err)
	}
	if err != nil {
		return nil, err
	}
	if len(resolved) > s.config.MaxPackages {
		return nil, pyth.Errorf(pyth.CodeTooLarge, "The number of packages and their dependencies is %d, but the maximum is %d. Request fewer packages.", len(resolved), s.config.MaxPackages)
	}
	if err := s.pin(r, next, list, resolved, request.Direct); err != nil {
		return nil, err
	}
	archives := map[string]resolve.Archive{}
	for _, c := range resolved {
		archives[c.Place] = c.Archive
	}
	return next, s.install(ctx, user, r, next, func(p *pyth.PinnedPackage) resolve.Archive { return archives[p.Place] }, report)
}

// commit stores the new lockfile, so that later runs use the layer of this lockfile. Then
// commit removes unused files.
func (s *Service) commit(ctx context.Context, user pyth.UserID, next *pyth.PackageList) error {
	err := s.config.Store.PutPackageList(ctx, user, next)
	s.invalidate(user)
	if err != nil {
		return err
	}
	if err := s.collect(context.WithoutCancel(ctx)); err != nil {
		s.config.Logger.ErrorContext(ctx, "unused packages not removed", "error", err)
	}
	return nil
}
