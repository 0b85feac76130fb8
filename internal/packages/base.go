package packages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// base holds the packages that every user has in one runtime.
type base struct {
	// Requirements contains the operator's requirements for these packages.
	Requirements []string          `json:"requirements"`
	List         *pyth.PackageList `json:"list"`
}

// readBase reads the lockfile of the base packages. It returns nil if there is no such
// lockfile.
func readBase(path string) (*base, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b := new(base)
	err = json.Unmarshal(text, b)
	if err == nil && b.List == nil {
		err = errors.New("it has no list")
	}
	if err != nil {
		return nil, fmt.Errorf("the lockfile %s of the base packages is damaged: %w; remove the file, and the server creates it again", path, err)
	}
	return b, nil
}

// write writes the lockfile of the base packages to the file at the given path. It
// replaces an existing file.
func (b *base) write(path string) error {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return disk.Replace(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// InstallBase installs the base packages, which every user has. It returns the layer that
// contains these packages. Their versions stay the same until the requirements change. If
// there are no requirements, InstallBase removes the base packages. The server calls
// InstallBase before the first run of a user.
func (s *Service) InstallBase(ctx context.Context, requirements []string, progress pyth.PackageProgress) (pyth.Layers, error) {
	if len(requirements) == 0 {
		s.setBase(nil)
		err := os.Remove(s.config.BaseFile)
		if errors.Is(err, fs.ErrNotExist) || s.config.BaseFile == "" {
			err = nil
		}
		return pyth.Layers{}, err
	}
	b, err := s.makeBase(ctx, requirements, progress)
	if err != nil {
		return pyth.Layers{}, fmt.Errorf("packages: install the base packages %s: %w", strings.Join(requirements, ", "), err)
	}
	s.setBase(b)
	return pyth.Layers{}.With(b.List.Runtime, b.List.Layer), nil
}

func (s *Service) setBase(b *base) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = b
	s.changes++
	clear(s.known)
}

// makeBase returns the base packages with their pinned versions. It installs missing
// files.
func (s *Service) makeBase(ctx context.Context, requirements []string, progress pyth.PackageProgress) (*base, error) {
	r, err := s.resolver(pyth.PythonRuntime)
	if err != nil {
		return nil, err
	}
	direct, err := s.parseAll(r, requirements)
	if err != nil {
		return nil, err
	}
	if b := s.base; b != nil && slices.Equal(b.Requirements, requirements) {
		before := b.List.Layer
		if err := s.install(ctx, "", r, b.List, r.Archive, progress); err != nil {
			return nil, err
		}
		if b.List.Layer == before {
			return b, nil
		}
		return b, b.write(s.config.BaseFile)
	}
	list, err := s.prepare(ctx, "", r, &pyth.PackageList{Runtime: pyth.PythonRuntime}, resolve.Request{Direct: direct}, progress)
	if err != nil {
		return nil, err
	}
	b := &base{Requirements: requirements, List: list}
	return b, b.write(s.config.BaseFile)
}

// withBase returns the layer that contains the base packages and the packages of the
// layer "own". The layer "own" belongs to the user. If both layers contain a package, the
// result contains the user's version.
func (s *Service) withBase(ctx context.Context, user pyth.UserID, r Resolver, own pyth.LayerID) (pyth.LayerID, error) {
	s.mu.Lock()
	b, combined := s.base, s.combined[own]
	s.mu.Unlock()
	runtime := r.Language().Runtime()
	if b == nil || b.List.Runtime != runtime {
		return own, nil
	}
	if own == "" {
		combined = b.List.Layer
	}
	if combined != "" && s.config.Images.Complete(combined) {
		s.config.Images.Use(combined)
		return combined, nil
	}
	err := s.withLockfile(ctx, user, runtime, func(ctx context.Context, list *pyth.PackageList) error {
		both := &pyth.PackageList{Runtime: runtime, Packages: overlay(b.List.Packages, list.Packages)}
		// Pass noLimit, because the limit on the total size applies only to the packages
		// of users.
		if err := s.installWithin(ctx, user, r, both, noLimit, r.Archive, discardProgress); err != nil {
			return err
		}
		combined = both.Layer
		return nil
	})
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if own != "" {
		s.combined[own] = combined
	}
	return combined, nil
}

// overlay returns the packages of both lists, sorted by the field Place. If both lists
// have a package for the same place, it uses the package of the second list.
func overlay(lower, upper []*pyth.PinnedPackage) []*pyth.PinnedPackage {
	all := slices.Clone(upper)
	for _, p := range lower {
		if !slices.ContainsFunc(upper, func(q *pyth.PinnedPackage) bool { return q.Place == p.Place }) {
			one := *p // A concurrent call can set the size of *p.
			all = append(all, &one)
		}
	}
	slices.SortFunc(all, func(p, q *pyth.PinnedPackage) int { return strings.Compare(p.Place, q.Place) })
	return all
}

// addBaseLayers adds layers to the given layers of lockfiles. Runs need the layers with
// the base packages, but no lockfile refers to these layers. addBaseLayers also forgets
// the combined layers of lockfiles that have changed.
func (s *Service) addBaseLayers(used []pyth.LayerID) []pyth.LayerID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base == nil {
		return used
	}
	needed := make(map[pyth.LayerID]pyth.LayerID, len(used))
	for _, own := range used {
		if combined, ok := s.combined[own]; ok {
			needed[own] = combined
		}
	}
	s.combined = needed
	used = append(used, s.base.List.Layer)
	for _, layer := range needed {
		used = append(used, layer)
	}
	return used
}
