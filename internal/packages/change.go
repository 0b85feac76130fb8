package packages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	pyth "github.com/pyth-on/pyth-on"
)

// maxDownloads is how many packages of one change are made ready at once.
const maxDownloads = 4

// SetPackages replaces the list.
func (s *Service) SetPackages(ctx context.Context, user pyth.UserID, language pyth.Language, requirements []string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	runtime := language.Runtime()
	direct, err := s.parseAll(runtime, requirements)
	if err != nil {
		return nil, err
	}
	return s.change(ctx, user, runtime, progress, func(*pyth.PackageList) (wish, error) {
		return wish{direct: direct}, nil
	})
}

// parseAll reads the requirements of a list: one for each package.
func (s *Service) parseAll(runtime pyth.Runtime, requirements []string) ([]requirement, error) {
	if len(requirements) > s.config.MaxPackages {
		return nil, invalid("body.packages", fmt.Errorf("must be at most %d", s.config.MaxPackages))
	}
	all := make([]requirement, 0, len(requirements))
	var faults pyth.FieldErrors
	for i, text := range requirements {
		r, err := parse(runtime, text)
		if err == nil && slices.ContainsFunc(all, func(other requirement) bool { return other.name == r.name }) {
			err = errors.New("names a package that is in the list before")
		}
		if err != nil {
			faults.Add(fmt.Sprintf("body.packages[%d]", i), "%v", err)
			continue
		}
		all = append(all, r)
	}
	if len(faults) > 0 {
		return nil, invalidFields(faults)
	}
	return all, nil
}

func invalid(location string, err error) error {
	return invalidFields([]pyth.FieldError{{Location: location, Message: err.Error()}})
}

func invalidFields(faults []pyth.FieldError) error {
	return pyth.FieldErrors(faults).As(pyth.CodeInvalidRequirement)
}

// errSame ends a change that changes nothing.
var errSame = errors.New("packages: there is nothing to change")

// AddPackage adds a package.
func (s *Service) AddPackage(ctx context.Context, user pyth.UserID, language pyth.Language, text string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	runtime := language.Runtime()
	r, err := parse(runtime, text)
	if err != nil {
		return nil, invalid("body.package", err)
	}
	created := true
	change, err := s.change(ctx, user, runtime, progress, func(list *pyth.PackageList) (wish, error) {
		w := wish{}
		for _, p := range list.Packages {
			if !p.Direct {
				w.keep = append(w.keep, p)
				continue
			}
			if p.Name == r.name {
				created = false
				if p.Requirement == r.text(runtime) {
					return wish{}, errSame
				}
				continue
			}
			other, err := parse(runtime, p.Requirement)
			if err != nil {
				return wish{}, err
			}
			w.direct = append(w.direct, other)
			w.keep = append(w.keep, p)
		}
		w.direct = append(w.direct, r)
		// What others needed of it so far may not be what it must be now.
		w.keep = slices.DeleteFunc(w.keep, func(p *pyth.PinnedPackage) bool { return p.Name == r.name })
		return w, nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range change.Packages {
		if p.Name == r.name && p.Direct {
			change.Package, change.Created = p, created
			return change, nil
		}
	}
	return nil, errResult
}

// RemovePackage removes a package. Nothing has to be looked up for it.
func (s *Service) RemovePackage(ctx context.Context, user pyth.UserID, language pyth.Language, name string) (*pyth.PackageChange, error) {
	runtime := language.Runtime()
	if language == "" {
		var err error
		if runtime, err = s.runtimeWith(ctx, user, name); err != nil {
			return nil, err
		}
	}
	return s.remove(ctx, user, runtime, name)
}

// runtimeWith is the runtime whose list has the package: asked for if possible,
// and Python's before Node's. It is Python's if no list has it.
func (s *Service) runtimeWith(ctx context.Context, user pyth.UserID, name string) (pyth.Runtime, error) {
	needed := pyth.Runtime("")
	for _, runtime := range []pyth.Runtime{pyth.PythonRuntime, pyth.NodeRuntime} {
		list, err := s.config.Store.PackageList(ctx, user, runtime)
		if err != nil {
			return "", err
		}
		for _, p := range list.Packages {
			switch {
			case p.Name != nameIn(runtime, name):
			case p.Direct:
				return runtime, nil
			case needed == "":
				needed = runtime
			}
		}
	}
	return cmp.Or(needed, pyth.PythonRuntime), nil
}

// nameIn is the name as lists of the runtime have it.
func nameIn(runtime pyth.Runtime, name string) string {
	if runtime == pyth.PythonRuntime {
		return normalize(name)
	}
	return name
}

func (s *Service) remove(ctx context.Context, user pyth.UserID, runtime pyth.Runtime, name string) (change *pyth.PackageChange, err error) {
	name = nameIn(runtime, name)
	err = s.turn(ctx, user, runtime, func(ctx context.Context, list *pyth.PackageList) error {
		at := slices.IndexFunc(list.Packages, func(p *pyth.PinnedPackage) bool { return p.Name == name && p.Direct })
		if at < 0 {
			if slices.ContainsFunc(list.Packages, func(p *pyth.PinnedPackage) bool { return p.Name == name }) {
				return pyth.Errorf(pyth.CodeConflict, "Other packages need this one. Remove them, and it goes with them.")
			}
			return pyth.Errorf(pyth.CodeNotFound, "You have no such package.")
		}
		next := &pyth.PackageList{Runtime: runtime, Revision: list.Revision + 1}
		for i, p := range list.Packages {
			one := *p
			if i == at {
				one.Direct, one.Requirement = false, ""
			}
			next.Packages = append(next.Packages, &one)
		}
		next.Packages = needed(next.Packages)
		change = changeOf(list, next)
		return s.commit(ctx, user, next)
	})
	return change, err
}

// needed are those of the packages that were asked for, and what they need.
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

// turn does something with a list when no other change of it is made.
func (s *Service) turn(ctx context.Context, user pyth.UserID, runtime pyth.Runtime, f func(context.Context, *pyth.PackageList) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	return s.turns.do(ctx, string(user)+"\x00"+string(runtime), func() error {
		list, err := s.config.Store.PackageList(ctx, user, runtime)
		if err != nil {
			return err
		}
		return f(ctx, list)
	})
}

// change makes a new list of what is wished, given the one that there is.
func (s *Service) change(ctx context.Context, user pyth.UserID, runtime pyth.Runtime, progress pyth.PackageProgress,
	plan func(*pyth.PackageList) (wish, error),
) (change *pyth.PackageChange, err error) {
	tell := func(step, detail string) error {
		if progress == nil {
			return ctx.Err()
		}
		return errors.Join(ctx.Err(), progress(step, detail))
	}
	err = s.turn(ctx, user, runtime, func(ctx context.Context, list *pyth.PackageList) error {
		w, err := plan(list)
		if errors.Is(err, errSame) {
			change = changeOf(list, list)
			return nil
		}
		if err != nil {
			return err
		}
		return s.placed(ctx, user, func() error {
			next, err := s.prepare(ctx, user, list, w, tell)
			if err != nil {
				return err
			}
			change = changeOf(list, next)
			return s.commit(ctx, user, next)
		})
	})
	return change, err
}

// placed does something when there is a place for it: a user has one, whatever
// the lists, so that nobody takes those of others.
func (s *Service) placed(ctx context.Context, user pyth.UserID, f func() error) error {
	return s.turns.do(ctx, string(user), func() error {
		select {
		case s.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-s.places }()
		return f()
	})
}

// prepare finds the packages and has their files at hand.
func (s *Service) prepare(ctx context.Context, user pyth.UserID, list *pyth.PackageList, w wish, tell pyth.PackageProgress) (*pyth.PackageList, error) {
	next := &pyth.PackageList{Runtime: list.Runtime, Revision: list.Revision + 1}
	if len(w.direct) == 0 {
		return next, nil
	}
	r := s.resolvers[list.Runtime]
	if r == nil {
		return nil, unavailable(errNoIndex)
	}
	if err := tell("resolve", "Looking for versions that fit together"); err != nil {
		return nil, err
	}
	found, err := r.resolve(ctx, user, w, tell)
	if pyth.ErrorCode(err) == pyth.CodeUnsatisfiable && len(w.keep) > 0 {
		// Perhaps the others may not stay as they are.
		if err := tell("resolve", "Looking for other versions of those that are there"); err != nil {
			return nil, err
		}
		found, err = r.resolve(ctx, user, wish{direct: w.direct}, tell)
	}
	if errors.Is(err, errResult) {
		err = unavailable(err)
	}
	if err != nil {
		return nil, err
	}
	if len(found) > s.config.MaxPackages {
		return nil, pyth.Errorf(pyth.CodeTooLarge, "These are %d packages with what they need; a list may have %d.", len(found), s.config.MaxPackages)
	}
	if err := s.fill(next, list, found, w); err != nil {
		return nil, err
	}
	archives := map[string]func(context.Context) (string, error){}
	for _, c := range found {
		archives[c.Place] = c.archive
	}
	return next, s.obtain(ctx, user, next, func(p *pyth.PinnedPackage) func(context.Context) (string, error) { return archives[p.Place] }, tell)
}

// fill puts what was found into the list, in the order of the places.
func (s *Service) fill(next, before *pyth.PackageList, found []*candidate, w wish) error {
	now := s.config.Clock()
	wanted := map[string]requirement{}
	for _, d := range w.direct {
		wanted[d.name] = d
	}
	for _, c := range found {
		p := c.PinnedPackage
		p.InstalledAt = now
		top := next.Runtime == pyth.PythonRuntime || p.Place == "node_modules/"+p.Name
		if d, ok := wanted[p.Name]; ok && top {
			p.Direct, p.Requirement = true, d.text(next.Runtime)
			delete(wanted, p.Name)
		}
		for _, old := range before.Packages {
			if old.Place == p.Place && old.Hash == p.Hash {
				p.InstalledAt = old.InstalledAt
			}
		}
		next.Packages = append(next.Packages, &p)
	}
	if len(wanted) > 0 {
		return errResult
	}
	slices.SortFunc(next.Packages, func(p, q *pyth.PinnedPackage) int { return strings.Compare(p.Place, q.Place) })
	return nil
}

// obtain has the files of all packages of a list at hand, and its layer.
func (s *Service) obtain(ctx context.Context, user pyth.UserID, list *pyth.PackageList,
	archive func(*pyth.PinnedPackage) func(context.Context) (string, error), tell pyth.PackageProgress,
) error {
	s.collecting.RLock()
	defer s.collecting.RUnlock()
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(maxDownloads)
	for _, p := range list.Packages {
		if err := tell("install", p.Name+" "+p.Version); err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			err := s.image(inner, user, p, archive(p), s.config.MaxBytes)
			if err == nil || pyth.ErrorCode(err) != pyth.CodeInternal || inner.Err() != nil {
				return err
			}
			if errors.Is(err, errHash) {
				return faulty(p.Name, p.Version, errors.New("is not the one that the index tells of: its hash differs"))
			}
			return unavailable(fmt.Errorf("%s %s: %w", p.Name, p.Version, err))
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var size int64
	for _, p := range list.Packages {
		size += p.SizeBytes
	}
	if size > s.config.MaxBytes {
		return pyth.Errorf(pyth.CodeTooLarge, "These packages take %s bytes with what they need; a list may take %s bytes.", pyth.Digits(size), pyth.Digits(s.config.MaxBytes))
	}
	return s.bindLayer(ctx, list)
}

// bindLayer makes the layer of a list whose images are there.
func (s *Service) bindLayer(ctx context.Context, list *pyth.PackageList) error {
	list.Layer = s.layer(list.Runtime, list.Packages)
	if list.Layer == "" {
		return nil
	}
	s.mu.Lock()
	s.note(pyth.Layers{Python: list.Layer})
	s.mu.Unlock()
	return s.making.do(ctx, string(list.Layer), func() error { return s.bind(ctx, list.Runtime, list.Layer, list.Packages) })
}

// commit makes the list that of the user: what runs from now on has it.
func (s *Service) commit(ctx context.Context, user pyth.UserID, next *pyth.PackageList) error {
	if next.Layer == "" {
		// The images are there still, or are made again.
		if err := s.obtain(ctx, user, next, s.again, func(string, string) error { return nil }); err != nil {
			return err
		}
	}
	err := s.config.Store.PutPackageList(ctx, user, next)
	s.forget(user)
	if err != nil {
		return err
	}
	if err := s.collect(context.WithoutCancel(ctx)); err != nil {
		s.config.Logger.Error("removing packages that are of no use", "error", err)
	}
	return nil
}

// again is the way to the archive of a package that was locked.
func (s *Service) again(p *pyth.PinnedPackage) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		from := s.sources[p.Language.Runtime()]
		if from == nil {
			return "", errNoIndex
		}
		u, err := url.Parse(p.URL)
		if err != nil {
			return "", err
		}
		archive, _, err := s.disk.download(ctx, from, u, p.Hash)
		return archive, err
	}
}

// restore makes the files of a list again, and returns its layer.
func (s *Service) restore(ctx context.Context, user pyth.UserID, runtime pyth.Runtime) (layer pyth.LayerID, err error) {
	err = s.turn(ctx, user, runtime, func(ctx context.Context, list *pyth.PackageList) error {
		s.config.Logger.Info("making packages of a list again", "user", user, "runtime", runtime, "packages", len(list.Packages))
		before := list.Layer
		err := s.obtain(ctx, user, list, s.again, func(string, string) error { return nil })
		layer = list.Layer
		if err == nil && layer != before {
			// This version of the program makes other files of the same packages.
			list.Revision++
			err = s.config.Store.PutPackageList(ctx, user, list)
		}
		return err
	})
	return layer, err
}

// changeOf describes the change from one list to the next.
func changeOf(before, after *pyth.PackageList) *pyth.PackageChange {
	change := &pyth.PackageChange{
		Language: pyth.Python, Packages: shown(after),
		Added: difference(after, before), Removed: difference(before, after),
	}
	if before.Runtime == pyth.NodeRuntime {
		change.Language = pyth.JavaScript
	}
	return change
}

// difference are the packages of a list that another has not.
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
