package packages

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Config is what a Service is made of. Store, Dispatcher, Images, Gateway,
// PythonVersion and Clock are required.
type Config struct {
	Store      pyth.PackageStore
	Dispatcher pyth.Dispatcher
	// Images has the files, and Gateway is the network of jobs of this package.
	Images  *ImageStore
	Gateway *Gateway
	// Python and Node are the indexes. A URL that is "" is that of a runtime for
	// which there are no packages.
	Python, Node Index
	// Dial connects with hosts other than the indexes that they lead to; nil for
	// all.
	Dial Dial
	// PythonVersion is that of the Python in sandboxes, such as "3.14.6".
	PythonVersion string
	// MaxPackages is how many packages a user's list may have, with those that
	// others need, and MaxBytes what their files may take; 0 is 500 and 1 GiB.
	MaxPackages int
	MaxBytes    int64
	// CacheBytes is how much is kept of what no list needs; 0 is 2 GiB.
	CacheBytes int64
	// Timeout bounds a change, ResolveTimeout the search for versions, and
	// CompileTimeout the compiling of one package; 0 is 15, 5 and 2 minutes.
	Timeout, ResolveTimeout, CompileTimeout time.Duration
	// MemoryBytes is what a job of this package may take; 0 is 1 GiB.
	MemoryBytes int64
	// MaxChanges is how many changes are made at once, one of each user; 0 is 4.
	MaxChanges int
	Clock      func() time.Time
	Logger     *slog.Logger
}

// Service is a pyth.PackageService and a pyth.PackageSource.
type Service struct {
	config settings
	disk   *disk
	images *ImageStore

	// sources are the indexes of the runtimes that have one, as are resolvers.
	sources   map[pyth.Runtime]*source
	resolvers map[pyth.Runtime]resolver
	// turns serialise the changes of a list, places bound those of all.
	turns  keyed
	places chan struct{}
	// making has each image and each layer made once.
	making keyed
	// collecting keeps files from being removed while they get their names.
	collecting sync.RWMutex

	mu sync.Mutex
	// current are the layers of users as far as they are known, and recent when
	// one was last given to a run. changes counts those of all lists.
	current map[pyth.UserID]pyth.Layers
	recent  map[pyth.LayerID]time.Time
	changes int
}

// settings is a Config whose defaults are filled in.
type settings struct {
	Config
	// PythonTag is in the names of compiled files, such as "cpython-314".
	PythonTag string
}

var (
	_ pyth.PackageService = (*Service)(nil)
	_ pyth.PackageSource  = (*Service)(nil)
)

// New makes a Service, and removes from the directory what is of no use.
func New(ctx context.Context, config Config) (*Service, error) {
	c := settings{Config: config, PythonTag: "cpython-" + tagOf(config.PythonVersion)}
	orDefault(&c.MaxPackages, 500)
	orDefault(&c.MaxBytes, 1<<30)
	orDefault(&c.CacheBytes, 2<<30)
	orDefault(&c.Timeout, 15*time.Minute)
	orDefault(&c.ResolveTimeout, 5*time.Minute)
	orDefault(&c.CompileTimeout, 2*time.Minute)
	orDefault(&c.MemoryBytes, 1<<30)
	orDefault(&c.MaxChanges, 4)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		config: c, disk: c.Images.disk, images: c.Images, places: make(chan struct{}, c.MaxChanges),
		sources: map[pyth.Runtime]*source{}, resolvers: map[pyth.Runtime]resolver{},
		current: map[pyth.UserID]pyth.Layers{}, recent: map[pyth.LayerID]time.Time{},
	}
	if c.Python.URL != "" {
		source, err := newSource(c.Python, c.Dial)
		if err != nil {
			return nil, err
		}
		s.sources[pyth.PythonRuntime], s.resolvers[pyth.PythonRuntime] = source, &pythonResolver{s, source}
	}
	if c.Node.URL != "" {
		source, err := newSource(c.Node, c.Dial)
		if err != nil {
			return nil, err
		}
		s.sources[pyth.NodeRuntime], s.resolvers[pyth.NodeRuntime] = source, &nodeResolver{s, source}
	}
	return s, s.collect(ctx)
}

func orDefault[T int | int64 | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

// tagOf is "314" of "3.14.6".
func tagOf(version string) string {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + minor
}

// Packages lists the user's packages by name.
func (s *Service) Packages(ctx context.Context, user pyth.UserID, language pyth.Language) ([]*pyth.Package, error) {
	runtimes := []pyth.Runtime{pyth.PythonRuntime, pyth.NodeRuntime}
	if language != "" {
		runtimes = []pyth.Runtime{language.Runtime()}
	}
	all := []*pyth.Package{}
	for _, runtime := range runtimes {
		list, err := s.config.Store.PackageList(ctx, user, runtime)
		if err != nil {
			return nil, err
		}
		all = append(all, shown(list)...)
	}
	return all, nil
}

// shown are the packages of a list as users see them.
func shown(list *pyth.PackageList) []*pyth.Package {
	all := make([]*pyth.Package, len(list.Packages))
	for i, p := range list.Packages {
		one := p.Package
		all[i] = &one
	}
	slices.SortStableFunc(all, func(p, q *pyth.Package) int { return strings.Compare(p.Name, q.Name) })
	return all
}

// maxKnown bounds how many users' layers are remembered.
const maxKnown = 100_000

// Layers are those of the user's list now. Files that are not there are made
// again from what is locked.
func (s *Service) Layers(ctx context.Context, user pyth.UserID) (pyth.Layers, error) {
	s.mu.Lock()
	layers, known := s.current[user]
	if known {
		s.note(layers)
	}
	changes := s.changes
	s.mu.Unlock()
	if known {
		return layers, nil
	}
	layers, err := s.config.Store.PackageLayers(ctx, user)
	if err != nil {
		return pyth.Layers{}, err
	}
	s.mu.Lock()
	s.note(layers)
	s.mu.Unlock()
	for runtime, layer := range map[pyth.Runtime]pyth.LayerID{pyth.PythonRuntime: layers.Python, pyth.NodeRuntime: layers.Node} {
		if layer == "" || s.images.whole(layer) {
			continue
		}
		made, err := s.restore(ctx, user, runtime)
		if err != nil {
			return pyth.Layers{}, err
		}
		if runtime == pyth.NodeRuntime {
			layers.Node = made
		} else {
			layers.Python = made
		}
	}
	s.remember(user, layers, changes)
	return layers, nil
}

// remember keeps the layers of a user unless lists have changed since they were
// read: then the next run asks for them again.
func (s *Service) remember(user pyth.UserID, layers pyth.Layers, changes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != changes {
		return
	}
	if len(s.current) >= maxKnown {
		clear(s.current)
	}
	s.current[user] = layers
}

// forget has the next run ask the store, after the user's list has changed.
func (s *Service) forget(user pyth.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	delete(s.current, user)
}

// note keeps the layers from being removed for as long as a job may wait that
// has been given them. The lock is held.
func (s *Service) note(layers pyth.Layers) {
	for _, layer := range []pyth.LayerID{layers.Python, layers.Node} {
		if layer != "" {
			s.recent[layer] = s.config.Clock()
		}
	}
}

// keyed has one at a time do something for each key.
type keyed struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// do does it when it is the key's turn.
func (k *keyed) do(ctx context.Context, key string, f func() error) error {
	for {
		k.mu.Lock()
		if k.held == nil {
			k.held = map[string]chan struct{}{}
		}
		held, taken := k.held[key]
		if !taken {
			break
		}
		k.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan struct{})
	k.held[key] = done
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(k.held, key)
		k.mu.Unlock()
		close(done)
	}()
	return f()
}
