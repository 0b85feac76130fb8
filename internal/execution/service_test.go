package execution_test

import (
	"context"
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
)

type recorder struct{ job *pyth.Job }

func (r *recorder) Start(_ context.Context, job *pyth.Job, _ pyth.Events) (pyth.Run, error) {
	r.job = job
	return &run{release: func([]pyth.SecretValue) (*pyth.Outcome, error) {
		return &pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte("42\n")}, nil
	}}, nil
}

type run struct {
	release   func(secrets []pyth.SecretValue) (*pyth.Outcome, error)
	abandoned bool
}

func (r *run) Release(_ context.Context, secrets []pyth.SecretValue) (*pyth.Outcome, error) {
	return r.release(secrets)
}

func (r *run) Abandon() { r.abandoned = true }

var now = time.Date(2026, 4, 4, 8, 23, 21, 0, time.UTC)

func service() (*execution.Service, *recorder) {
	r := new(recorder)
	return execution.New(execution.Config{
		Dispatcher: r,
		Limits:     execution.DefaultLimits(),
		Languages:  []pyth.LanguageInfo{{Name: pyth.Python, Version: "3.14"}},
		Clock:      func() time.Time { return now },
	}), r
}

func TestExecuteAppliesDefaults(t *testing.T) {
	s, r := service()
	e, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "print(42)", Labels: []string{"a"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.ID == "" || e.ID != r.job.ID {
		t.Errorf("the execution is %q, its job %q", e.ID, r.job.ID)
	}
	want := &pyth.Execution{
		ID: e.ID, Language: pyth.Python, CreatedAt: now, Labels: []string{"a"},
		Outcome: pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte("42\n")},
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
	wantJob := &pyth.Job{
		ID: e.ID, Tenant: "ada", Language: pyth.Python, Code: []byte("print(42)"), Stdin: []byte{},
		Env: []pyth.EnvVar{
			{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"},
			{Name: "HOME", Value: "/home/sandbox"},
			{Name: "LANG", Value: "C.UTF-8"},
		},
		Timeout:   30 * time.Second,
		Limits:    pyth.Limits{MemoryBytes: 256 << 20, OutputBytes: 1 << 20, DiskBytes: 100 << 20, Processes: 64},
		Isolation: pyth.IsolationTenant,
	}
	if diff := cmp.Diff(wantJob, r.job); diff != "" {
		t.Error(diff)
	}
}

func TestExecuteLetsProgramsOverrideBaseEnvironment(t *testing.T) {
	s, r := service()
	env := []pyth.EnvVar{{Name: "X", Value: "1"}, {Name: "LANG", Value: "de_DE.UTF-8"}}
	if _, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", Env: env}, nil); err != nil {
		t.Fatal(err)
	}
	want := []pyth.EnvVar{
		{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"},
		{Name: "HOME", Value: "/home/sandbox"},
		{Name: "LANG", Value: "de_DE.UTF-8"},
		{Name: "X", Value: "1"},
	}
	if diff := cmp.Diff(want, r.job.Env); diff != "" {
		t.Error(diff)
	}
}

func files(paths ...string) []pyth.File {
	var all []pyth.File
	for _, p := range paths {
		all = append(all, pyth.File{Path: p})
	}
	return all
}

func env(name, value string) []pyth.EnvVar { return []pyth.EnvVar{{Name: name, Value: value}} }

func TestExecuteRefusesInvalidProgramsWithLocations(t *testing.T) {
	for name, c := range map[string]struct {
		program pyth.Program
		code    pyth.Code
		at      string
	}{
		"no code":                              {pyth.Program{}, pyth.CodeInvalid, "body.code"},
		"too much code":                        {pyth.Program{Code: strings.Repeat("#", 1<<20+1)}, pyth.CodeTooLarge, "body.code"},
		"too much standard input":              {pyth.Program{Stdin: strings.Repeat("#", 1<<20+1)}, pyth.CodeTooLarge, "body.stdin"},
		"files that are too large together":    {pyth.Program{Files: []pyth.File{{Path: "a", Content: make([]byte, 10<<20+1)}}}, pyth.CodeTooLarge, "body.files"},
		"too many files":                       {pyth.Program{Files: make([]pyth.File, 65)}, pyth.CodeTooLarge, "body.files"},
		"an unknown language":                  {pyth.Program{Language: "cobol"}, pyth.CodeInvalid, "body.language"},
		"a language without a runtime":         {pyth.Program{Language: pyth.JavaScript}, pyth.CodeRuntimeUnavailable, ""},
		"too many arguments":                   {pyth.Program{Code: "1", Args: make([]string, 65)}, pyth.CodeInvalid, "body.args"},
		"an argument with NUL":                 {pyth.Program{Code: "1", Args: []string{"", "a\x00b"}}, pyth.CodeInvalid, "body.args[1]"},
		"an endless argument":                  {pyth.Program{Code: "1", Args: []string{strings.Repeat("a", 128<<10)}}, pyth.CodeInvalid, "body.args[0]"},
		"a variable with a bad name":           {pyth.Program{Code: "1", Env: env("a-b", "")}, pyth.CodeInvalid, "body.env"},
		"a variable with an empty name":        {pyth.Program{Code: "1", Env: env("", "")}, pyth.CodeInvalid, "body.env"},
		"a variable of a new line":             {pyth.Program{Code: "1", Env: env("A\n", "")}, pyth.CodeInvalid, "body.env"},
		"a variable with NUL":                  {pyth.Program{Code: "1", Env: env("A", "\x00")}, pyth.CodeInvalid, "body.env.A"},
		"PATH":                                 {pyth.Program{Code: "1", Env: env("PATH", "/")}, pyth.CodeReservedName, "body.env.PATH"},
		"a variable of the loader":             {pyth.Program{Code: "1", Env: env("LD_PRELOAD", "x")}, pyth.CodeReservedName, "body.env.LD_PRELOAD"},
		"a variable of Python":                 {pyth.Program{Code: "1", Env: env("PYTHONPATH", "x")}, pyth.CodeReservedName, "body.env.PYTHONPATH"},
		"a reserved variable":                  {pyth.Program{Code: "1", Env: env("PYTH_ON_X", "x")}, pyth.CodeReservedName, "body.env.PYTH_ON_X"},
		"no such isolation":                    {pyth.Program{Code: "1", Isolation: "none"}, pyth.CodeInvalid, "body.isolation"},
		"a negative time-out":                  {pyth.Program{Code: "1", Timeout: -time.Second}, pyth.CodeInvalid, "body.timeoutMs"},
		"a time-out beyond the maximum":        {pyth.Program{Code: "1", Timeout: 301 * time.Second}, pyth.CodeInvalid, "body.timeoutMs"},
		"memory beyond the maximum":            {pyth.Program{Code: "1", Limits: pyth.Limits{MemoryBytes: 1 << 40}}, pyth.CodeInvalid, "body.limits.memoryBytes"},
		"too little memory for an interpreter": {pyth.Program{Code: "1", Limits: pyth.Limits{MemoryBytes: 1}}, pyth.CodeInvalid, "body.limits.memoryBytes"},
		"negative processor time":              {pyth.Program{Code: "1", Limits: pyth.Limits{CPU: -1}}, pyth.CodeInvalid, "body.limits.cpuMs"},
		"a disk that cannot hold the code":     {pyth.Program{Code: strings.Repeat("#", 1<<19), Limits: pyth.Limits{DiskBytes: 1 << 20}}, pyth.CodeInvalid, "body.limits.diskBytes"},
		"negative output":                      {pyth.Program{Code: "1", Limits: pyth.Limits{OutputBytes: -1}}, pyth.CodeInvalid, "body.limits.outputBytes"},
		"negative processes":                   {pyth.Program{Code: "1", Limits: pyth.Limits{Processes: -1}}, pyth.CodeInvalid, "body.limits.processes"},
		"an empty pattern":                     {pyth.Program{Code: "1", OutputFiles: []string{""}}, pyth.CodeInvalid, "body.outputFiles[0]"},
		"a broken pattern":                     {pyth.Program{Code: "1", OutputFiles: []string{"*", "[a"}}, pyth.CodeInvalid, "body.outputFiles[1]"},
		"an absolute pattern":                  {pyth.Program{Code: "1", OutputFiles: []string{"/etc/*"}}, pyth.CodeInvalid, "body.outputFiles[0]"},
		"too many labels":                      {pyth.Program{Code: "1", Labels: make([]string, 17)}, pyth.CodeInvalid, "body.labels"},
		"a label of two lines":                 {pyth.Program{Code: "1", Labels: []string{"a\nb"}}, pyth.CodeInvalid, "body.labels[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := service()
			_, err := s.Execute(t.Context(), "ada", &c.program, nil)
			e, ok := errors.AsType[*pyth.Error](err)
			if !ok || e.Code != c.code {
				t.Fatalf("got %v, want %s", err, c.code)
			}
			if c.at != "" && e.Fields[0].Location != c.at {
				t.Errorf("the error is at %s, want %s", e.Fields[0].Location, c.at)
			}
			if r.job != nil {
				t.Error("the job was dispatched")
			}
		})
	}
}

func TestExecuteReportsAllFaults(t *testing.T) {
	s, _ := service()
	_, err := s.Execute(t.Context(), "ada", &pyth.Program{
		Files: files("../x"), Env: env("PATH", ""), Isolation: "x",
	}, nil)
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok || e.Code != pyth.CodeInvalid || len(e.Fields) != 4 {
		t.Fatalf("got %#v", err)
	}
}

// TestAttack runs attacks on the execution service. The name of a subtest begins with
// the number of the attack.
func TestAttack(t *testing.T) {
	long := strings.Repeat("a", 256)
	cases := map[string][][]pyth.File{
		"061_paths_out_of_the_directory": {
			files("../x"), files("/x"), files("a\x00b"), files("a/../../b"), files(""), files("."), files(".."),
			files("a/.."), files("a/./b"), files("a//b"), files("a/"), files("./a"), files("a\nb"), files("a\u202eb"),
			files("\xff"), files(long), files(strings.Repeat("d/", 64) + "f"), files(strings.Repeat("abc/", 400) + "f"),
			files("main.py"), files("main.py/x"),
		},
		"062_paths_that_collide": {
			files("d", "d/f"), files("d/f", "d"), files("a", "a"), files("a/b/c", "x", "a"),
		},
	}
	for name, all := range cases {
		t.Run(name, func(t *testing.T) {
			for _, given := range all {
				s, _ := service()
				_, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", Files: given}, nil)
				if pyth.ErrorCode(err) != pyth.CodeInvalid {
					t.Errorf("%q: got %v", given, err)
				}
			}
		})
	}
}

func TestExecuteAcceptsOrdinaryPaths(t *testing.T) {
	s, r := service()
	given := files("a", "d/f", "d/g/h.txt", "...", "..a", "ü/日本.txt", "with space", strings.Repeat("d/", 63)+"f")
	if _, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", Files: given}, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(given, r.job.Files); diff != "" {
		t.Error(diff)
	}
}

func FuzzExecuteKeepsFilesInside(f *testing.F) {
	for _, p := range []string{"a", "../x", "a/../../b", "/x", "d/f", "a\x00", "..", "main.py", "./main.py"} {
		f.Add(p, "d")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		s, r := service()
		if _, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", Files: files(a, b)}, nil); err != nil {
			if pyth.ErrorCode(err) != pyth.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		for _, file := range r.job.Files {
			full := path.Join("/work", file.Path)
			if !strings.HasPrefix(full, "/work/") || full != "/work/"+file.Path || full == "/work/main.py" {
				t.Errorf("%q was accepted", file.Path)
			}
		}
		if a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/") {
			t.Errorf("%q and %q collide", a, b)
		}
	})
}
