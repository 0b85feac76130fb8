package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/doctor"
	"github.com/pyth-on/pyth-on/internal/rootfs"
	"github.com/pyth-on/pyth-on/internal/sandbox"
)

// runtimeFlags say which runtimes of one's own there are.
type runtimeFlags struct {
	Runtime      map[string]string `placeholder:"NAME=SOURCE" help:"A runtime of one's own: a root file system with a Python or a Node, as a directory or a tar file such as docker save writes; may be repeated."`
	Preload      map[string]string `placeholder:"NAME=MODULES" help:"Modules that the Python of a runtime has imported when a program comes, such as science=numpy,pandas; may be repeated."`
	WarmRuntimes int               `default:"1" help:"How many fresh sandboxes wait for programs of each of these runtimes at least."`
}

// ownRuntime is a runtime of the operator's own.
type ownRuntime struct {
	*rootfs.Runtime
	name    pyth.Runtime
	preload []string
}

// String tells what is in it.
func (r ownRuntime) String() string {
	var all []string
	if r.Python != "" {
		all = append(all, "Python "+r.Python)
	}
	if r.Node != "" {
		all = append(all, "Node "+r.Node)
	}
	return strings.Join(all, " and ")
}

// language is the one that its sandboxes wait for.
func (r ownRuntime) language() pyth.Language {
	if r.Python == "" {
		return pyth.JavaScript
	}
	return pyth.Python
}

// ownRuntimes are in the order of their names.
type ownRuntimes []ownRuntime

// build makes or finds the images in dir. The state directory is used in
// passing, and emptied.
func (f runtimeFlags) build(ctx context.Context, dir, stateDir string, progress func(string, int, int), logger *slog.Logger) (ownRuntimes, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var all ownRuntimes
	for _, name := range slices.Sorted(maps.Keys(f.Runtime)) {
		r, err := f.buildOne(ctx, name, dir, stateDir, progress, logger)
		if err != nil {
			return nil, fmt.Errorf("--runtime %s: %w", name, err)
		}
		all = append(all, *r)
	}
	return all, nil
}

func (f runtimeFlags) buildOne(ctx context.Context, name, dir, stateDir string, progress func(string, int, int), logger *slog.Logger) (*ownRuntime, error) {
	built, err := rootfs.BuildRuntime(ctx, dir, f.Runtime[name], rootfs.RuntimeOptions{
		Progress: progress, Logger: logger,
		Try: func(ctx context.Context, t rootfs.Trial) error { return try(ctx, stateDir, t) },
	})
	if err != nil {
		return nil, err
	}
	r := &ownRuntime{Runtime: built, name: pyth.Runtime(name)}
	if modules := f.Preload[name]; modules != "" {
		if r.Python == "" {
			return nil, errors.New("it has no Python for --preload")
		}
		r.preload = strings.Split(modules, ",")
	}
	return r, nil
}

// check refuses names that would mean something else, or nothing.
func (f runtimeFlags) check() error {
	names := regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	for name := range f.Runtime {
		if name == string(pyth.PythonRuntime) || name == string(pyth.NodeRuntime) || !names.MatchString(name) {
			return fmt.Errorf("--runtime: %q cannot be the name of a runtime: take small letters, digits, dots, dashes and underscores, and neither %q nor %q",
				name, pyth.PythonRuntime, pyth.NodeRuntime)
		}
	}
	modules := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(,[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)*$`)
	for name, list := range f.Preload {
		if f.Runtime[name] == "" {
			return fmt.Errorf("--preload: there is no --runtime %s", name)
		}
		if !modules.MatchString(list) {
			return fmt.Errorf("--preload: %q is not a list of modules such as numpy,matplotlib.pyplot", list)
		}
	}
	return nil
}

// tried makes what images can be made, and tells of the others.
func (f runtimeFlags) tried(ctx context.Context, dir, stateDir string, progress func(string, int, int)) (all ownRuntimes, failed []doctor.Finding) {
	if err := f.check(); err != nil {
		return nil, []doctor.Finding{doctor.NoRuntime("--runtime", err)}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Runtime)) {
		r, err := f.buildOne(ctx, name, dir, stateDir, progress, slog.New(slog.DiscardHandler))
		if err != nil {
			failed = append(failed, doctor.NoRuntime(pyth.Runtime(name), err))
			continue
		}
		all = append(all, *r)
	}
	return all, failed
}

func (all ownRuntimes) names() []pyth.Runtime {
	names := make([]pyth.Runtime, len(all))
	for i, r := range all {
		names[i] = r.name
	}
	return names
}

func (all ownRuntimes) built() []*rootfs.Runtime {
	built := make([]*rootfs.Runtime, len(all))
	for i, r := range all {
		built[i] = r.Runtime
	}
	return built
}

// images are for sandboxes to boot from.
func (all ownRuntimes) images() map[pyth.Runtime]sandbox.Runtime {
	images := make(map[pyth.Runtime]sandbox.Runtime, len(all))
	for _, r := range all {
		images[r.name] = sandbox.Runtime{Image: r.Path, Preload: r.preload}
	}
	return images
}

// language is the one that sandboxes of the runtime wait for.
func (all ownRuntimes) language(name pyth.Runtime) pyth.Language {
	i := slices.IndexFunc(all, func(r ownRuntime) bool { return r.name == name })
	if i < 0 {
		return pyth.Python // Its boot fails.
	}
	return all[i].language()
}

// python are those with a Python, without what else they have.
func (all ownRuntimes) python() ownRuntimes {
	var some ownRuntimes
	for _, r := range all {
		if r.Python != "" {
			r.Runtime = &rootfs.Runtime{Path: r.Path, Python: r.Python}
			some = append(some, r)
		}
	}
	return some
}

// addTo adds the runtimes to the languages that they run.
func (all ownRuntimes) addTo(offered []pyth.LanguageInfo) []pyth.LanguageInfo {
	add := func(language pyth.Language, name pyth.Runtime, version string) {
		if version == "" {
			return
		}
		i := slices.IndexFunc(offered, func(l pyth.LanguageInfo) bool { return l.Name == language })
		if i < 0 {
			i = len(offered)
			offered = append(offered, pyth.LanguageInfo{Name: language})
		}
		offered[i].Runtimes = append(offered[i].Runtimes, pyth.RuntimeInfo{Name: name, Version: version})
	}
	for _, r := range all {
		add(pyth.Python, r.name, r.Python)
		add(pyth.JavaScript, r.name, r.Node)
		add(pyth.TypeScript, r.name, r.Node)
	}
	return offered
}

// What a program may take that prepares an image: it holds all that it compiles
// in memory.
const (
	trialMemory = 4 << 30
	trialDisk   = 2 << 30
	trialTime   = 10 * time.Minute
)

// trialJob is a program that prepares an image.
func trialJob(language pyth.Language, program []byte) *pyth.Job {
	return &pyth.Job{
		ID: "trial", Language: language, Code: program, Timeout: trialTime, Isolation: pyth.IsolationExecution,
		Env:    pyth.BaseEnv(),
		Limits: pyth.Limits{MemoryBytes: trialMemory, OutputBytes: 64 << 10, DiskBytes: trialDisk, Processes: 256},
	}
}

// try runs a program in a sandbox of an image that is being made.
func try(ctx context.Context, stateDir string, t rootfs.Trial) (err error) {
	h, err := openHost(&hostConfig{image: t.Image, stateDir: stateDir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	language := pyth.Language(t.Language)
	s, err := h.Boot(ctx, language, "", pyth.Layers{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	job := trialJob(language, t.Program)
	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		job.Files = append(job.Files, pyth.File{Path: name, Content: t.Files[name]})
	}
	if language != pyth.Python {
		job.OutputFiles = []string{t.Output}
		o, err := succeed(ctx, s, job)
		if err != nil {
			return err
		}
		if len(o.Files) != 1 {
			return fmt.Errorf("it left no %s", t.Output)
		}
		return t.Read(strings.NewReader(string(o.Files[0].Content)))
	}
	// In a session files of any size can be read.
	job.Session = "trial"
	if err := s.Open(ctx, &pyth.SessionSpec{ID: job.Session, Language: language, Limits: job.Limits}); err != nil {
		return err
	}
	if _, err := succeed(ctx, s, job); err != nil {
		return err
	}
	return s.ReadFile(ctx, t.Output, func(_ int64, content io.Reader) error { return t.Read(content) })
}

// succeed runs a program that has to succeed.
func succeed(ctx context.Context, s *sandbox.Sandbox, job *pyth.Job) (*pyth.Outcome, error) {
	o, err := s.Run(ctx, job, nil)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Status != pyth.StatusSucceeded {
		return nil, fmt.Errorf("a program in it ended as %s: %s", o.Status, strings.TrimSpace(string(o.Stderr)))
	}
	return o, nil
}

// tryPreloads sees to it that what is to be imported ahead can be: a program
// would only be told when it imports it itself.
func (all ownRuntimes) tryPreloads(ctx context.Context, h *host) error {
	for _, r := range all {
		if len(r.preload) == 0 {
			continue
		}
		if err := r.tryPreload(ctx, h); err != nil {
			return fmt.Errorf("--preload %s=%s: %w", r.name, strings.Join(r.preload, ","), err)
		}
	}
	return nil
}

func (r ownRuntime) tryPreload(ctx context.Context, h *host) (err error) {
	s, err := h.Boot(ctx, pyth.Python, r.name, pyth.Layers{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	_, err = succeed(ctx, s, trialJob(pyth.Python, []byte("import "+strings.Join(r.preload, ", "))))
	return err
}

// runtimeName is that of the only runtime of one's own that `run` has.
const runtimeName = "own"

// own are the flags as if they had named it.
func (c *runCommand) own() runtimeFlags {
	var f runtimeFlags
	if c.Runtime != "" {
		f.Runtime = map[string]string{runtimeName: c.Runtime}
	}
	if len(c.Preload) > 0 {
		f.Preload = map[string]string{runtimeName: strings.Join(c.Preload, ",")}
	}
	return f
}

// runtime is what the program runs on.
func (c *runCommand) runtime() pyth.Runtime {
	if c.Runtime == "" {
		return ""
	}
	return runtimeName
}
