package app

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

// customImage is a custom image.
type customImage struct {
	*rootfs.Runtime
	name    pyth.Runtime
	preload []string
}

// String lists the interpreters of the image.
func (r customImage) String() string {
	var all []string
	if r.Python != "" {
		all = append(all, "Python "+r.Python)
	}
	if r.Node != "" {
		all = append(all, "Node "+r.Node)
	}
	return strings.Join(all, " and ")
}

// language returns the language of the programs for which warm sandboxes of the image wait.
func (r customImage) language() pyth.Language {
	if r.Python == "" {
		return pyth.JavaScript
	}
	return pyth.Python
}

// customImages is sorted by name.
type customImages []customImage

// build finds or builds the images in dir. It uses the state directory for
// trial sandboxes and empties it.
func (c ImageConfig) build(ctx context.Context, dir, stateDir string, progress func(string, int, int), logger *slog.Logger) (customImages, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	var all customImages
	for _, name := range slices.Sorted(maps.Keys(c.Runtime)) {
		r, err := c.buildOne(ctx, name, dir, stateDir, progress, logger)
		if err != nil {
			return nil, fmt.Errorf("--runtime %s: %w", name, err)
		}
		all = append(all, *r)
	}
	return all, nil
}

func (c ImageConfig) buildOne(ctx context.Context, name, dir, stateDir string, progress func(string, int, int), logger *slog.Logger) (*customImage, error) {
	built, err := rootfs.BuildRuntime(ctx, dir, c.Runtime[name], rootfs.RuntimeOptions{
		Progress: progress, Logger: logger,
		Try: func(ctx context.Context, t rootfs.Trial) error { return runTrial(ctx, stateDir, t) },
	})
	if err != nil {
		return nil, err
	}
	r := &customImage{Runtime: built, name: pyth.Runtime(name)}
	if modules := c.Preload[name]; modules != "" {
		if r.Python == "" {
			return nil, errors.New("the image has no Python, which --preload needs")
		}
		r.preload = strings.Split(modules, ",")
	}
	return r, nil
}

// check returns an error for invalid names of images and modules.
func (c ImageConfig) check() error {
	names := regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	for name := range c.Runtime {
		if pyth.Runtime(name).BuiltIn() || !names.MatchString(name) {
			return fmt.Errorf("--runtime: %q cannot be the name of an image: use lower-case letters, digits, dots, dashes and underscores; %q and %q are built in",
				name, pyth.PythonRuntime, pyth.NodeRuntime)
		}
	}
	modules := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(,[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)*$`)
	for name, list := range c.Preload {
		if c.Runtime[name] == "" {
			return fmt.Errorf("--preload: there is no --runtime %s", name)
		}
		if !modules.MatchString(list) {
			return fmt.Errorf("--preload: %q is not a list of modules such as numpy,matplotlib.pyplot", list)
		}
	}
	return nil
}

// try finds or builds the images, and returns a finding for each that failed.
func (c ImageConfig) try(ctx context.Context, dir, stateDir string, progress func(string, int, int)) (all customImages, failed []doctor.Finding) {
	if err := c.check(); err != nil {
		return nil, []doctor.Finding{doctor.NoRuntime("--runtime", err)}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Runtime)) {
		r, err := c.buildOne(ctx, name, dir, stateDir, progress, slog.New(slog.DiscardHandler))
		if err != nil {
			failed = append(failed, doctor.NoRuntime(pyth.Runtime(name), err))
			continue
		}
		all = append(all, *r)
	}
	return all, failed
}

func (all customImages) names() []pyth.Runtime {
	names := make([]pyth.Runtime, len(all))
	for i, r := range all {
		names[i] = r.name
	}
	return names
}

func (all customImages) built() []*rootfs.Runtime {
	built := make([]*rootfs.Runtime, len(all))
	for i, r := range all {
		built[i] = r.Runtime
	}
	return built
}

// images returns the images for the launcher.
func (all customImages) images() map[pyth.Runtime]sandbox.Runtime {
	images := make(map[pyth.Runtime]sandbox.Runtime, len(all))
	for _, r := range all {
		images[r.name] = sandbox.Runtime{Image: r.Path, Preload: r.preload}
	}
	return images
}

// language returns the language of the programs for which warm sandboxes of the image wait.
func (all customImages) language(name pyth.Runtime) pyth.Language {
	i := slices.IndexFunc(all, func(r customImage) bool { return r.name == name })
	if i < 0 {
		return pyth.Python // The boot of an unknown image fails.
	}
	return all[i].language()
}

// python returns the images with a Python, without their Node.
func (all customImages) python() customImages {
	var some customImages
	for _, r := range all {
		if r.Python != "" {
			r.Runtime = &rootfs.Runtime{Path: r.Path, Python: r.Python}
			some = append(some, r)
		}
	}
	return some
}

// addTo adds the images to the languages that they run.
func (all customImages) addTo(offered []pyth.LanguageInfo) []pyth.LanguageInfo {
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

// Limits of a program that prepares an image. It holds all that it compiles in
// memory.
const (
	trialMemory = 4 << 30
	trialDisk   = 2 << 30
	trialTime   = 10 * time.Minute
)

// trialJob returns a job that prepares an image.
func trialJob(language pyth.Language, program []byte) *pyth.Job {
	return &pyth.Job{
		ID: "trial", Language: language, Code: program, Timeout: trialTime, Isolation: pyth.IsolationExecution,
		Env:    pyth.BaseEnv(),
		Limits: pyth.Limits{MemoryBytes: trialMemory, OutputBytes: 64 << 10, DiskBytes: trialDisk, Processes: 256},
	}
}

// runTrial runs a program in a sandbox of an image that is being built.
func runTrial(ctx context.Context, stateDir string, t rootfs.Trial) (err error) {
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
			return fmt.Errorf("the trial program wrote no %s", t.Output)
		}
		return t.Read(strings.NewReader(string(o.Files[0].Content)))
	}
	// A session can return files of any size.
	job.Session = "trial"
	if err := s.Open(ctx, &pyth.SessionSpec{ID: job.Session, Language: language, Limits: job.Limits}); err != nil {
		return err
	}
	if _, err := succeed(ctx, s, job); err != nil {
		return err
	}
	return s.ReadFile(ctx, t.Output, func(_ int64, content io.Reader) error { return t.Read(content) })
}

// succeed runs a job and returns an error if the program fails.
func succeed(ctx context.Context, s *sandbox.Sandbox, job *pyth.Job) (*pyth.Outcome, error) {
	o, err := pyth.Dispatch(ctx, s, job, nil)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Status != pyth.StatusSucceeded {
		return nil, fmt.Errorf("a trial program ended as %s: %s", o.Status, strings.TrimSpace(string(o.Stderr)))
	}
	return o, nil
}

// tryPreloads returns an error if a module to preload cannot be imported.
// Otherwise the first program that imports it would fail.
func (all customImages) tryPreloads(ctx context.Context, h *host) error {
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

func (r customImage) tryPreload(ctx context.Context, h *host) (err error) {
	s, err := h.Boot(ctx, pyth.Python, r.name, pyth.Layers{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	_, err = succeed(ctx, s, trialJob(pyth.Python, []byte("import "+strings.Join(r.preload, ", "))))
	return err
}
