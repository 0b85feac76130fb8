package packages

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/keylock"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// Resolver resolves and unpacks the packages of one runtime. It is safe for
// concurrent use.
type Resolver interface {
	// Language returns the language of the packages.
	Language() pyth.Language
	// Parse parses a requirement. The error is a message for the user, such as "must
	// be at most 512 bytes".
	Parse(text string) (resolve.Requirement, error)
	// Normalize returns the given package name in the form that lockfiles contain.
	Normalize(name string) string
	// Importable reports whether programs can import the package. Some packages can be
	// imported only by other packages.
	Importable(p *pyth.PinnedPackage) bool
	// Resolve returns the newest packages that satisfy the request. The result also
	// contains all dependencies of these packages.
	Resolve(ctx context.Context, user pyth.UserID, request resolve.Request, progress pyth.PackageProgress) ([]*resolve.Candidate, error)
	// Archive returns a function that downloads the archive of a pinned package.
	Archive(p *pyth.PinnedPackage) resolve.Archive
	// Combine merges two lockfiles and returns the packages of the result. If a package
	// is in both lockfiles, programs import the package of the lockfile "own".
	Combine(base, own []*pyth.PinnedPackage) []*pyth.PinnedPackage
	// ImageKey returns the key of the package's image in the image store.
	ImageKey(p *pyth.PinnedPackage) string
	// BuildImage writes the image of a package to the given file. The parameter "archive"
	// is the path of the package's archive. The parameter "room" is the maximum size of
	// the package's files in bytes.
	BuildImage(ctx context.Context, user pyth.UserID, p *pyth.PinnedPackage, archive string, to *os.File, room int64) error
}

// Config configures a Service. Store, Images, Resolvers and Clock are required.
type Config struct {
	Store  pyth.PackageStore
	Images *imagestore.Store
	// Resolvers contains one resolver for each runtime. Service.Packages lists the
	// packages in the order of these resolvers.
	Resolvers []Resolver
	// Shared is true if other servers also change the lockfiles in Store.
	Shared bool
	// MaxPackages is the maximum number of packages in a lockfile. The value 0 means 500.
	// MaxBytes is the maximum total size of the images of these packages in bytes. The
	// value 0 means 1 GiB.
	MaxPackages int
	MaxBytes    int64
	// CacheBytes is the maximum total size of files that no lockfile needs. The value 0
	// means 2 GiB.
	CacheBytes int64
	// Timeout is the time-out for one change of a lockfile. The value 0 means 15 minutes.
	Timeout time.Duration
	// MaxChanges is the maximum number of concurrent changes by all users. The value 0
	// means 4. A user can run only one change at a time.
	MaxChanges int
	// BaseFiles contains the paths of the lockfiles that InstallBase writes. Every runtime
	// with base packages needs a path.
	BaseFiles map[pyth.Runtime]string
	Clock     func() time.Time
	Logger    *slog.Logger
}

// Service implements pyth.PackageService and pyth.PackageSource. It is safe for
// concurrent use.
type Service struct {
	config Config

	// The field "changing" has one lock for each lockfile and one lock for each user. A
	// change of a lockfile holds the lock of the lockfile. While a change holds a slot
	// (see the field "slots"), it also holds the lock of its user. So a user can have
	// only one slot at a time.
	changing keylock.Locks
	// The channel "slots" limits the number of concurrent changes by all users. Each
	// running change holds a value in the channel.
	slots chan struct{}

	mu sync.Mutex
	// The field "known" caches the layers of users who recently ran programs. It is
	// empty if Config.Shared is true.
	known map[pyth.UserID]pyth.Layers
	// The field "changes" counts the changes of all lockfiles since the start of the
	// server.
	changes int
	// The field "base" contains the packages that every user has. The field "combined"
	// maps the layer of a user's lockfile to the layer that also contains the base
	// packages.
	base     map[pyth.Runtime]*base
	combined map[pyth.LayerID]pyth.LayerID
}

var (
	_ pyth.PackageService = (*Service)(nil)
	_ pyth.PackageSource  = (*Service)(nil)
)

// New returns a Service. It removes files that no lockfile needs.
func New(ctx context.Context, config Config) (*Service, error) {
	setDefault(&config.MaxPackages, 500)
	setDefault(&config.MaxBytes, 1<<30)
	setDefault(&config.CacheBytes, 2<<30)
	setDefault(&config.Timeout, 15*time.Minute)
	setDefault(&config.MaxChanges, 4)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		config: config, slots: make(chan struct{}, config.MaxChanges),
		known: map[pyth.UserID]pyth.Layers{}, combined: map[pyth.LayerID]pyth.LayerID{}, base: map[pyth.Runtime]*base{},
	}
	for runtime, path := range config.BaseFiles {
		b, err := readBase(path)
		if err != nil {
			return nil, err
		}
		if b != nil {
			s.base[runtime] = b
		}
	}
	return s, s.collect(ctx)
}

func setDefault[T int | int64 | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

func (s *Service) resolver(runtime pyth.Runtime) (Resolver, error) {
	for _, r := range s.config.Resolvers {
		if r.Language().Runtime() == runtime {
			return r, nil
		}
	}
	return nil, index.Unavailable(index.ErrNone)
}

func (s *Service) collect(ctx context.Context) error {
	return s.config.Images.Collect(s.config.CacheBytes, func() ([]pyth.LayerID, error) {
		used, err := s.config.Store.UsedLayers(ctx)
		return s.addBaseLayers(used), err
	})
}

// Packages returns the user's packages. The result is sorted by runtime, in the order of
// Config.Resolvers, and then by name. If the parameter "language" is not "", the result
// contains only the packages of this language.
func (s *Service) Packages(ctx context.Context, user pyth.UserID, language pyth.Language) ([]*pyth.Package, error) {
	all := []*pyth.Package{}
	for _, r := range s.config.Resolvers {
		runtime := r.Language().Runtime()
		if language != "" && runtime != language.Runtime() {
			continue
		}
		list, err := s.config.Store.PackageList(ctx, user, runtime)
		if err != nil {
			return nil, err
		}
		all = append(all, packagesOf(list)...)
	}
	return all, nil
}

// packagesOf returns the packages of a lockfile, sorted by name.
func packagesOf(list *pyth.PackageList) []*pyth.Package {
	all := make([]*pyth.Package, len(list.Packages))
	for i, p := range list.Packages {
		one := p.Package
		all[i] = &one
	}
	slices.SortStableFunc(all, func(p, q *pyth.Package) int { return strings.Compare(p.Name, q.Name) })
	return all
}

const maxKnown = 100_000

// Layers returns the layers of the user's lockfiles. Usually it reads them from the
// cache. If files of a layer are missing, it makes these files again.
func (s *Service) Layers(ctx context.Context, user pyth.UserID) (pyth.Layers, error) {
	s.mu.Lock()
	layers, known := s.known[user]
	changes := s.changes
	if known {
		s.config.Images.Use(layers[:]...)
	}
	s.mu.Unlock()
	if known {
		return layers, nil
	}
	layers, err := s.config.Store.PackageLayers(ctx, user)
	if err != nil {
		return pyth.Layers{}, err
	}
	s.config.Images.Use(layers[:]...)
	for _, r := range s.config.Resolvers {
		runtime := r.Language().Runtime()
		layer := layers.Of(runtime)
		if layer != "" && !s.config.Images.Complete(layer) {
			if layer, err = s.restore(ctx, user, r); err != nil {
				return pyth.Layers{}, err
			}
		}
		if layer, err = s.withBase(ctx, user, r, layer); err != nil {
			return pyth.Layers{}, err
		}
		layers = layers.With(runtime, layer)
	}
	s.remember(user, layers, changes)
	return layers, nil
}

// remember caches the layers of a user. The parameter "changes" is the value of s.changes
// at the time before the layers were read. If a lockfile has changed since that time, the
// method does nothing.
func (s *Service) remember(user pyth.UserID, layers pyth.Layers, changes int) {
	if s.config.Shared {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != changes {
		return
	}
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[user] = layers
}

// EndUser makes later runs of the user read the layers from the store, because the store
// has deleted the packages of the user or will delete them.
func (s *Service) EndUser(_ context.Context, user pyth.UserID) error {
	s.invalidate(user)
	return nil
}

func (s *Service) invalidate(user pyth.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	delete(s.known, user)
}

// Quotas returns the maximum number and the maximum size of the user's packages for each
// runtime.
func (s *Service) Quotas(ctx context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	var all []pyth.Quota
	for _, r := range s.config.Resolvers {
		count, size := pyth.QuotaPythonPackages, pyth.QuotaPythonPackageBytes
		runtime := r.Language().Runtime()
		if runtime == pyth.NodeRuntime {
			count, size = pyth.QuotaNodePackages, pyth.QuotaNodePackageBytes
		}
		list, err := s.config.Store.PackageList(ctx, user, runtime)
		if err != nil {
			return nil, err
		}
		var bytes int64
		for _, p := range list.Packages {
			bytes += p.SizeBytes
		}
		all = append(all,
			pyth.Quota{Name: count, Limit: int64(s.config.MaxPackages), Used: int64(len(list.Packages))},
			pyth.Quota{Name: size, Limit: s.config.MaxBytes, Used: bytes})
	}
	return all, nil
}
