package execution

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/printable"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// Fixed limits of the parts of a program. Other limits are configurable.
const (
	maxArgBytes   = 128 << 10 // Linux's MAX_ARG_STRLEN
	maxEnv        = 256
	maxEnvValue   = 64 << 10
	maxPatterns   = 64
	maxLabels     = 16
	maxLabelBytes = 64
	// maxExecBytes is the maximum size of the arguments. The environment variables and
	// secrets together have the same maximum. For the arguments and the environment
	// together, Linux allows a quarter of the size of the stack. With the usual size of
	// the stack, this is 2 MiB.
	maxExecBytes = 1 << 20
	// minMemory is the smallest allowed memory limit. An interpreter can start with this
	// memory.
	minMemory = 32 << 20
	minDisk   = 1 << 20
	minTime   = time.Millisecond
)

func (s *Service) check(job *pyth.Job, p *pyth.Program, session *pyth.SessionSpec) error {
	if session == nil {
		runtime, err := FindRuntime(p.Runtime, job.Language, s.config.Languages)
		if err != nil {
			return err
		}
		job.Runtime = runtime
	}
	if err := s.checkSizes(job); err != nil {
		return err
	}
	var f pyth.FieldErrors
	if len(job.Code) == 0 && job.Encrypted == nil {
		f.Add("body.code", "must not be empty")
	}
	checkEncrypted(&f, job)
	s.checkArgs(&f, job.Args)
	checkFiles(&f, job.Files, job.Language.File())
	checkPatterns(&f, job.OutputFiles)
	CheckLabels(&f, p.Labels)
	f.Within("body.timeoutMs", job.Timeout.Milliseconds(), minTime.Milliseconds(), s.config.Limits.MaxTimeout.Milliseconds())
	given := requestBytes(job)
	if session != nil {
		checkSession(&f, p, session, given)
		given = 0
	}
	checkLimits(&f, job.Limits, s.config.Limits.Max, given)
	if job.Isolation != pyth.IsolationTenant && job.Isolation != pyth.IsolationExecution {
		f.Add("body.isolation", "must be %q or %q", pyth.IsolationTenant, pyth.IsolationExecution)
	}
	others := len(f)
	if reserved := checkEnv(&f, p.Env); reserved && others == 0 {
		return f.As(pyth.CodeReservedName)
	}
	return f.Err()
}

// checkSizes returns an error if the code, the standard input or the files are too large.
// Call checkSizes first, so that the other checks process only small input.
func (s *Service) checkSizes(job *pyth.Job) error {
	l := s.config.Limits
	var files int64
	for _, file := range job.Files {
		files += int64(len(file.Content))
	}
	for _, part := range []struct {
		location  string
		subject   string
		have, max int64
		unit      string
	}{
		{"body.code", "code is", int64(len(job.Code)), l.MaxCodeBytes, "bytes"},
		{"body.stdin", "stdin is", int64(len(job.Stdin)), l.MaxStdinBytes, "bytes"},
		{"body.files", "files are", files, l.MaxFilesBytes, "bytes in total"},
		{"body.files", "files are", int64(len(job.Files)), int64(l.MaxFiles), "files"},
	} {
		if part.have > part.max {
			return &pyth.Error{
				Code:    pyth.CodeTooLarge,
				Message: fmt.Sprintf("%s too large: the maximum is %s %s, the request has %s.", part.subject, pyth.Digits(part.max), part.unit, pyth.Digits(part.have)),
				Fields:  []pyth.FieldError{{Location: part.location, Message: fmt.Sprintf("must be at most %s %s", pyth.Digits(part.max), part.unit)}},
			}
		}
	}
	return nil
}

func (s *Service) checkArgs(f *pyth.FieldErrors, args []string) {
	if len(args) > s.config.Limits.MaxArgs {
		f.Add("body.args", "must have at most %d arguments", s.config.Limits.MaxArgs)
	}
	total := 0
	for i, arg := range args {
		total += len(arg) + 1
		location := fmt.Sprintf("body.args[%d]", i)
		switch {
		case strings.ContainsRune(arg, 0):
			f.Add(location, "must not contain NUL")
		case len(arg) >= maxArgBytes:
			f.Add(location, "must be shorter than %d bytes", maxArgBytes)
		}
	}
	if total > maxExecBytes {
		f.Add("body.args", "must have at most %d bytes in total", maxExecBytes)
	}
}

func checkPatterns(f *pyth.FieldErrors, patterns []string) {
	if len(patterns) > maxPatterns {
		f.Add("body.outputFiles", "must have at most %d patterns", maxPatterns)
	}
	for i, pattern := range patterns {
		if _, err := workpath.ParsePattern(pattern); err != nil {
			f.Add(fmt.Sprintf("body.outputFiles[%d]", i), "%s", err)
		}
	}
}

// CheckLabels adds an error for each invalid label. Runs and sessions have the same rules
// for labels.
func CheckLabels(f *pyth.FieldErrors, labels []string) {
	if len(labels) > maxLabels {
		f.Add("body.labels", "must have at most %d labels", maxLabels)
	}
	for i, label := range labels {
		if n := utf8.RuneCountInString(label); n == 0 || n > maxLabelBytes || !printable.Text(label) {
			f.Add(fmt.Sprintf("body.labels[%d]", i), "must have 1 to %d printable characters", maxLabelBytes)
		}
	}
}

// requestBytes returns the number of bytes that the sandbox writes to its disk
// before the run: the files of the request and the code.
func requestBytes(job *pyth.Job) int64 {
	given := int64(len(job.Code))
	if job.Encrypted != nil {
		given += int64(len(job.Encrypted.Code.Ciphertext))
	}
	for _, file := range job.Files {
		given += int64(len(file.Content))
	}
	return given
}
