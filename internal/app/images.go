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
	"strconv"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/doctor"
	"github.com/pyth-on/pyth-on/internal/rootfs"
	"github.com/pyth-on/pyth-on/internal/sandbox"
)

// customImage is a custom image with its name. A sandbox of the image imports the
// modules in the field "preload" before a program starts.
type customImage struct {
	*rootfs.CustomImage
	name    pyth.Runtime
	preload []string
}

// String returns the names of the interpreters in the image, with their versions.
func (r customImage) String() string {
	runtimes := r.runtimes()
	all := make([]string, len(runtimes))
	for i, runtime := range runtimes {
		all[i] = runtime.Title() + " " + r.Versions[runtime]
	}
	return strings.Join(all, " and ")
}

// language returns the language for which sandboxes of the image start an interpreter
// in advance.
func (r customImage) language() pyth.Language {
	if all := r.runtimes(); len(all) > 0 {
		return all[0].Languages()[0]
	}
	return pyth.Python // The result does not matter, because the boot of an image without an interpreter fails.
}

// runtimes returns the built-in runtimes for which the image contains an interpreter.
func (r customImage) runtimes() []pyth.Runtime {
	return slices.DeleteFunc(pyth.Runtimes(), func(runtime pyth.Runtime) bool { return r.Versions[runtime] == "" })
}

// customImages contains custom images, sorted by name.
type customImages []customImage

// build builds the custom images that do not exist in the directory "dir" yet. It
// returns all custom images. To prepare an image, build runs trial programs with the
// method trials.run.
func (c ImageConfig) build(ctx context.Context, dir string, trials trialHost, progress func(string, int, int), logger *slog.Logger) (customImages, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	var all customImages
	for _, name := range slices.Sorted(maps.Keys(c.Runtime)) {
		r, err := c.buildOne(ctx, name, dir, trials, progress, logger)
		if err != nil {
			return nil, fmt.Errorf("--runtime %s: %w", name, err)
		}
		all = append(all, *r)
	}
	return all, nil
}

func (c ImageConfig) buildOne(ctx context.Context, name, dir string, trials trialHost, progress func(string, int, int), logger *slog.Logger) (*customImage, error) {
	built, err := rootfs.BuildCustom(ctx, dir, c.Runtime[name], rootfs.CustomOptions{
		Progress: progress, Logger: logger,
		Try: trials.run,
	})
	if err != nil {
		return nil, err
	}
	r := &customImage{CustomImage: built, name: pyth.Runtime(name)}
	if modules := c.Preload[name]; modules != "" {
		if r.Versions[pyth.PythonRuntime] == "" {
			return nil, errors.New("--preload needs Python, but the image has none; remove --preload for this image")
		}
		r.preload = strings.Split(modules, ",")
	}
	return r, nil
}

// check returns an error if the name of an image or of a module is invalid.
func (c ImageConfig) check() error {
	names := regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	for name := range c.Runtime {
		if pyth.Runtime(name).BuiltIn() || !names.MatchString(name) {
			return fmt.Errorf("--runtime: %q cannot be the name of an image: use lower-case letters, digits, dots, dashes and underscores; %s are built in",
				name, quoted(pyth.Runtimes()))
		}
	}
	modules := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(,[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)*$`)
	for name, list := range c.Preload {
		if c.Runtime[name] == "" {
			return fmt.Errorf("--preload %s: there is no --runtime with this name", name)
		}
		if !modules.MatchString(list) {
			return fmt.Errorf("--preload: %q is not a list of modules; write it like numpy,matplotlib.pyplot", list)
		}
	}
	return nil
}

func quoted(runtimes []pyth.Runtime) string {
	names := make([]string, len(runtimes))
	for i, r := range runtimes {
		names[i] = strconv.Quote(string(r))
	}
	return strings.Join(names, " and ")
}

// buildUsable builds images like the method "build", but continues after an error. It
// returns all usable images. It also returns a finding for each image that it could not
// build.
func (c ImageConfig) buildUsable(ctx context.Context, dir string, trials trialHost, progress func(string, int, int)) (all customImages, failed []doctor.Finding) {
	if err := c.check(); err != nil {
		return nil, []doctor.Finding{doctor.NoRuntime("--runtime", err)}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Runtime)) {
		r, err := c.buildOne(ctx, name, dir, trials, progress, slog.New(slog.DiscardHandler))
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

func (all customImages) built() []*rootfs.CustomImage {
	built := make([]*rootfs.CustomImage, len(all))
	for i, r := range all {
		built[i] = r.CustomImage
	}
	return built
}

// images returns the custom images in the form that sandbox.Config needs.
func (all customImages) images() map[pyth.Runtime]sandbox.Image {
	images := make(map[pyth.Runtime]sandbox.Image, len(all))
	for _, r := range all {
		images[r.name] = sandbox.Image{Path: r.Path, Preload: r.preload}
	}
	return images
}

// language returns the language for which sandboxes of the named image start an
// interpreter in advance.
func (all customImages) language(name pyth.Runtime) pyth.Language {
	i := slices.IndexFunc(all, func(r customImage) bool { return r.name == name })
	if i < 0 {
		return pyth.Python // The result does not matter, because the boot of an unknown image fails.
	}
	return all[i].language()
}

// The method "only" returns the images that contain the given runtime. The returned
// images list only this runtime.
func (all customImages) only(runtime pyth.Runtime) customImages {
	var some customImages
	for _, r := range all {
		if version := r.Versions[runtime]; version != "" {
			r.CustomImage = &rootfs.CustomImage{Path: r.Path, Versions: map[pyth.Runtime]string{runtime: version}}
			some = append(some, r)
		}
	}
	return some
}

// addTo adds each image to the list entry of each language that the image runs, except
// bash. If a language has no entry, addTo appends one. It returns the new list.
func (all customImages) addTo(offered []pyth.LanguageInfo) []pyth.LanguageInfo {
	for _, r := range all {
		for _, runtime := range r.runtimes() {
			for _, language := range runtime.Languages() {
				if language == pyth.Bash {
					continue // Only the built-in image is known to have bash.
				}
				i := slices.IndexFunc(offered, func(l pyth.LanguageInfo) bool { return l.Name == language })
				if i < 0 {
					i = len(offered)
					offered = append(offered, pyth.LanguageInfo{Name: language})
				}
				offered[i].Runtimes = append(offered[i].Runtimes, pyth.RuntimeInfo{Name: r.name, Version: r.Versions[runtime]})
			}
		}
	}
	return offered
}

// Limits of a trial program. The server runs trial programs to prepare an image. The
// memory limit is high, because a trial program holds all compiled files in memory.
const (
	trialMemory = 4 << 30
	trialDisk   = 2 << 30
	trialTime   = 10 * time.Minute
)

// trialJob returns a job for a trial program. The server runs trial programs while it
// builds an image.
func trialJob(language pyth.Language, program []byte) *pyth.Job {
	return &pyth.Job{
		ID: "trial", Language: language, Code: program, Timeout: trialTime, Isolation: pyth.IsolationExecution,
		Env:    pyth.BaseEnv(),
		Limits: pyth.Limits{MemoryBytes: trialMemory, OutputBytes: 64 << 10, DiskBytes: trialDisk, Processes: 256},
	}
}

// trialHost contains the settings with which a trial program's sandbox starts.
type trialHost struct {
	// executable is the path of the program that runs a sandbox. stateDir is the
	// directory for the state of the sandboxes. Each trial first removes all files in
	// stateDir.
	executable, stateDir string
}

// run executes the trial program t in a sandbox of the new image. After the run, it
// passes the program's output file to the function t.Read.
func (host trialHost) run(ctx context.Context, t rootfs.Trial) (err error) {
	h, err := openHost(&hostConfig{executable: host.executable, image: t.Image, stateDir: host.stateDir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	s, err := h.Boot(ctx, t.Language, "", pyth.Layers{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	job := trialJob(t.Language, t.Program)
	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		job.Files = append(job.Files, pyth.File{Path: name, Content: t.Files[name]})
	}
	if !t.Large {
		job.OutputFiles = []string{t.Output}
		o, err := runSuccessfully(ctx, s, job)
		if err != nil {
			return err
		}
		if len(o.Files) != 1 {
			return fmt.Errorf("the trial program did not write the file %s", t.Output)
		}
		return t.Read(strings.NewReader(string(o.Files[0].Content)))
	}
	// Run the program in a session, because the output file may be large. Only sessions
	// can return files of any size.
	job.Session = "trial"
	if err := s.Open(ctx, &pyth.SessionSpec{ID: job.Session, Language: t.Language, Limits: job.Limits}); err != nil {
		return err
	}
	if _, err := runSuccessfully(ctx, s, job); err != nil {
		return err
	}
	return s.ReadFile(ctx, t.Output, func(_ int64, content io.Reader) error { return t.Read(content) })
}

// runSuccessfully runs a job. It returns an error if the program does not succeed.
func runSuccessfully(ctx context.Context, s *sandbox.Sandbox, job *pyth.Job) (*pyth.Outcome, error) {
	o, err := pyth.Dispatch(ctx, s, job, nil)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Status != pyth.StatusSucceeded {
		return nil, fmt.Errorf("the trial program ended with status %s: %s", o.Status, strings.TrimSpace(string(o.Stderr)))
	}
	return o, nil
}

// tryPreloads imports the preloaded modules of each image once. If an import fails, the
// operator sees the error when the server starts, and programs of users do not fail
// later.
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
	_, err = runSuccessfully(ctx, s, trialJob(pyth.Python, []byte("import "+strings.Join(r.preload, ", "))))
	return err
}
