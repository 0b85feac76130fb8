package packages

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
)

// What jobs of this package may take.
const (
	jobDisk   = 1 << 30
	jobOutput = 1 << 20
	// maxTold is how many of a resolver's last lines its caller is told.
	maxTold     = 20
	maxToldLine = 500
)

// wish is what is to be resolved.
type wish struct {
	// direct are the requirements, by name.
	direct []requirement
	// keep are the packages that should stay as they are; nil for none.
	keep []*pyth.PinnedPackage
}

// resolver finds the packages for a wish. What it returns has no size yet.
type resolver interface {
	resolve(ctx context.Context, user pyth.UserID, w wish, tell pyth.PackageProgress) ([]*candidate, error)
}

// candidate is a package that was found, with the way to its archive.
type candidate struct {
	pyth.PinnedPackage
	archive func(context.Context) (string, error)
}

// job is a job of this package, in a sandbox of its own that has nothing of the
// user's but the right to a place.
func (s *Service) job(user pyth.UserID, language pyth.Language, program []byte) *pyth.Job {
	return &pyth.Job{
		ID:        pyth.ExecutionID(uuid.NewString()),
		Tenant:    user,
		Language:  language,
		Code:      program,
		Env:       pyth.BaseEnv(),
		Timeout:   s.config.ResolveTimeout,
		Limits:    pyth.Limits{MemoryBytes: s.config.MemoryBytes, OutputBytes: jobOutput, DiskBytes: jobDisk, Processes: 64},
		Isolation: pyth.IsolationExecution,
	}
}

// run runs a resolver and returns the file that it left. It fails with
// CodeUnsatisfiable and the resolver's last lines.
func (s *Service) run(ctx context.Context, job *pyth.Job, r *route, result string, tell pyth.PackageProgress) ([]byte, error) {
	job.Network = pyth.Network{Gateway: r.id}
	job.OutputFiles = []string{result}
	said := &lines{tell: tell}
	outcome, err := s.config.Dispatcher.Dispatch(ctx, job, said)
	if err != nil {
		return nil, err
	}
	said.flush()
	switch {
	case outcome.Status == pyth.StatusCanceled:
		return nil, errors.Join(ctx.Err(), said.err, context.Canceled)
	case r.failure() != nil:
		return nil, unavailable(r.failure())
	case outcome.Status == pyth.StatusTimedOut:
		return nil, pyth.Errorf(pyth.CodeUnsatisfiable, "It was not found out in %s ms which versions fit together. Name versions more precisely.", pyth.Digits(job.Timeout.Milliseconds()))
	case outcome.Status == pyth.StatusSucceeded && len(outcome.Files)+len(said.files) > 0:
		return append(outcome.Files, said.files...)[0].Content, nil
	case outcome.Status == pyth.StatusFailed && len(said.last) > 0:
		return nil, pyth.Errorf(pyth.CodeUnsatisfiable, "The packages cannot be installed:\n%s", strings.Join(said.last, "\n"))
	default:
		return nil, pyth.Errorf(pyth.CodeUnsatisfiable, "The packages cannot be installed: what looks for versions ended as %s.", outcome.Status)
	}
}

// lines hears what a resolver prints, line by line. It is hostile: what it says
// is cut short and made harmless to show.
type lines struct {
	tell  pyth.PackageProgress
	rest  []byte
	last  []string
	files []pyth.File
	told  int
	err   error
}

// maxProgress is how many lines are told while they come.
const maxProgress = 2000

func (*lines) Started(pyth.ExecutionID) error { return nil }
func (*lines) Result(pyth.Result) error       { return nil }

func (l *lines) File(f pyth.File) error {
	l.files = append(l.files, f)
	return nil
}

func (l *lines) Output(_ pyth.Stream, b []byte) error {
	for _, c := range b {
		switch {
		case c == '\n':
			l.flush()
		case len(l.rest) < maxToldLine:
			l.rest = append(l.rest, c)
		}
	}
	return l.err
}

func (l *lines) flush() {
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(l.rest), "\ufffd"))
	l.rest = l.rest[:0]
	progress := strings.HasPrefix(line, "npm http ")
	if line = strings.TrimRight(scrub(line), " "); line == "" {
		return
	}
	if !progress { // It tells of progress alone.
		if len(l.last) == maxTold {
			l.last = l.last[1:]
		}
		l.last = append(l.last, line)
	}
	if l.told++; l.tell != nil && l.err == nil && l.told <= maxProgress {
		l.err = l.tell("resolve", line)
	}
}
