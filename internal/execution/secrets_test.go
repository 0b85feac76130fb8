package execution_test

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
)

type source struct {
	secrets []pyth.EnvVar
	asked   []string
	given   []pyth.SecretValue
	// This function becomes the field Recorded of each returned grant.
	recorded func() error
}

func (s *source) Reveal(_ context.Context, user pyth.UserID, _ pyth.ExecutionID, r pyth.SecretRequest) (pyth.SecretGrant, error) {
	s.asked = append(s.asked, string(user)+" "+strings.Join(r.Names, ","))
	s.given = nil
	for _, secret := range s.secrets {
		if r.All || slices.Contains(r.Names, secret.Name) || slices.Contains(r.IfStored, secret.Name) {
			s.given = append(s.given, pyth.SecretValue{Name: secret.Name, Value: []byte(secret.Value)})
		}
	}
	for _, name := range r.Names {
		if !r.All && !slices.ContainsFunc(s.given, func(v pyth.SecretValue) bool { return v.Name == name }) {
			return pyth.SecretGrant{}, pyth.Invalid("body.secrets[0]", "is unknown")
		}
	}
	return pyth.SecretGrant{Values: s.given, Recorded: s.recorded}, nil
}

// The type "printing" is a fake dispatcher. In each run, it sends each element of the
// field "pieces" as a separate output event. The field "given" lists the secrets that
// the last run received.
type printing struct {
	job     *pyth.Job
	run     *run
	outcome pyth.Outcome
	pieces  []string
	given   []string
}

func (p *printing) Start(_ context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error) {
	p.job = job
	p.given = nil
	p.run = &run{release: func(secrets []pyth.SecretValue) (*pyth.Outcome, error) { return p.release(secrets, events) }}
	return p.run, nil
}

func (p *printing) release(secrets []pyth.SecretValue, events pyth.Events) (*pyth.Outcome, error) {
	for _, s := range secrets {
		p.given = append(p.given, s.Name+"="+string(s.Value))
	}
	if events != nil {
		for _, piece := range p.pieces {
			if err := events.Output(pyth.Stdout, []byte(piece)); err != nil {
				return nil, err
			}
		}
		for _, r := range p.outcome.Results {
			if err := events.Result(r); err != nil {
				return nil, err
			}
		}
	}
	o := p.outcome
	o.Results = append([]pyth.Result(nil), p.outcome.Results...)
	return &o, nil
}

type heard struct {
	output  []string
	results []pyth.Result
}

func (*heard) Started(pyth.ExecutionID) error { return nil }
func (*heard) File(pyth.File) error           { return nil }

func (h *heard) Output(_ pyth.Stream, b []byte) error {
	h.output = append(h.output, string(b))
	return nil
}

func (h *heard) Result(r pyth.Result) error {
	h.results = append(h.results, r)
	return nil
}

func withSecrets(p *printing, turns pyth.SessionTurns, secrets ...pyth.EnvVar) (*execution.Service, *source) {
	from := &source{secrets: secrets}
	return execution.New(execution.Config{
		Dispatcher: p, Limits: execution.DefaultLimits(), Secrets: from, Sessions: turns,
		Languages: []pyth.LanguageInfo{{Name: pyth.Python, Version: "3.14"}}, Clock: func() time.Time { return now },
	}), from
}

func TestExecutePassesAndWipesSecrets(t *testing.T) {
	for name, tt := range map[string]struct {
		program pyth.Program
		want    []string
	}{
		"all":                            {pyth.Program{AllSecrets: true}, []string{"A=value-a", "B=value-b"}},
		"one":                            {pyth.Program{Secrets: []string{"B"}}, []string{"B=value-b"}},
		"none":                           {pyth.Program{}, nil},
		"a variable instead of a secret": {pyth.Program{AllSecrets: true, Env: env("A", "mine")}, []string{"B=value-b"}},
		"a variable and a named secret":  {pyth.Program{Secrets: []string{"B"}, Env: env("A", "mine")}, []string{"B=value-b"}},
		"values without redaction":       {pyth.Program{AllSecrets: true, KeepSecrets: true}, []string{"A=value-a", "B=value-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &printing{}
			s, from := withSecrets(p, nil, pyth.EnvVar{Name: "A", Value: "value-a"}, pyth.EnvVar{Name: "B", Value: "value-b"})
			tt.program.Code = "1"
			if _, err := s.Execute(t.Context(), "ada", &tt.program, nil); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p.given, tt.want) {
				t.Errorf("got %q, want %q", p.given, tt.want)
			}
			for _, v := range from.given {
				if strings.Trim(string(v.Value), "\x00") != "" {
					t.Errorf("%s remains: %q", v.Name, v.Value)
				}
			}
		})
	}
}

func TestExecuteRefusesInvalidSecrets(t *testing.T) {
	big := strings.Repeat("x", 60<<10)
	var many []pyth.EnvVar
	for i := range 18 {
		many = append(many, pyth.EnvVar{Name: "S" + string(rune('A'+i)), Value: big})
	}
	for name, tt := range map[string]struct {
		program pyth.Program
		at      string
	}{
		"missing secret":                    {pyth.Program{Secrets: []string{"NO"}}, "body.secrets[0]"},
		"a secret that is also a variable":  {pyth.Program{Secrets: []string{"SA"}, Env: env("SA", "1")}, "body.env.SA"},
		"more than an environment can hold": {pyth.Program{AllSecrets: true}, "body.secrets"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &printing{}
			s, from := withSecrets(p, nil, many...)
			tt.program.Code = "1"
			_, err := s.Execute(t.Context(), "ada", &tt.program, nil)
			e, ok := errors.AsType[*pyth.Error](err)
			if !ok || e.Code != pyth.CodeInvalid || e.Fields[0].Location != tt.at || p.job != nil {
				t.Errorf("got %v", err)
			}
			for _, v := range from.given {
				if strings.Trim(string(v.Value), "\x00") != "" {
					t.Errorf("the value of %s remains", v.Name)
				}
			}
		})
	}
	s, _ := service()
	if _, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", Secrets: []string{"A"}}, nil); pyth.ErrorCode(err) != pyth.CodeInvalid {
		t.Errorf("a service without secrets: %v", err)
	}
}

func TestExecuteRedactsAllOutput(t *testing.T) {
	const value = `s3cr"et/value`
	encoded := base64.StdEncoding.EncodeToString([]byte(value))
	outcome := pyth.Outcome{
		Status: pyth.StatusFailed,
		Stdout: []byte("out " + value + " and " + encoded),
		Stderr: []byte("err " + value),
		Error:  &pyth.ProgramError{Name: "E", Message: "bad " + value, Traceback: "E: bad " + value},
		Results: []pyth.Result{
			{"text/plain": value, "text/html": "<b>" + value + "</b>", "image/png": encoded, "application/json": `{"a":"s3cr\"et/value"}`},
			{"application/json": `{"pin": 31415926}`},
		},
	}
	secrets := []pyth.EnvVar{{Name: "TOKEN", Value: value}, {Name: "PIN", Value: "31415926"}, {Name: "SHORT", Value: "out"}}
	p := &printing{outcome: outcome}
	s, _ := withSecrets(p, nil, secrets...)
	e, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", AllSecrets: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"stdout":    {string(e.Stdout), "out [secret:TOKEN] and [secret:TOKEN]"},
		"stderr":    {string(e.Stderr), "err [secret:TOKEN]"},
		"message":   {e.Error.Message, "bad [secret:TOKEN]"},
		"traceback": {e.Error.Traceback, "E: bad [secret:TOKEN]"},
		"text":      {e.Results[0]["text/plain"], "[secret:TOKEN]"},
		"HTML":      {e.Results[0]["text/html"], "<b>[secret:TOKEN]</b>"},
		"JSON":      {e.Results[0]["application/json"], `{"a":"[secret:TOKEN]"}`},
		"a number":  {e.Results[1]["application/json"], `"{\"pin\": [secret:PIN]}"`},
		"an image":  {e.Results[0]["image/png"], encoded},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, not %q", what, pair[0], pair[1])
		}
	}
	if e.Redactions != 9 {
		t.Errorf("%d redactions, want 9", e.Redactions)
	}
	e, err = s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", AllSecrets: true, KeepSecrets: true}, nil)
	if err != nil || string(e.Stdout) != string(outcome.Stdout) || e.Redactions != 0 {
		t.Errorf("with KeepSecrets: %q, %d redactions, %v", e.Stdout, e.Redactions, err)
	}
}

func TestExecuteRedactsSplitStreams(t *testing.T) {
	p := &printing{
		pieces:  []string{"a li", "ne\nsec", "ret-", "val", "ue\nand se", "cond sec"},
		outcome: pyth.Outcome{Status: pyth.StatusSucceeded, Results: []pyth.Result{{"text/plain": "secret-value"}}},
	}
	s, _ := withSecrets(p, nil, pyth.EnvVar{Name: "T", Value: "secret-value"})
	h := new(heard)
	e, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", AllSecrets: true}, h)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(h.output, "|"), "a li|ne\n|[secret:T]\nand |second |sec"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if h.results[0]["text/plain"] != "[secret:T]" || e.Redactions < 2 {
		t.Errorf("got %v, %d redactions", h.results, e.Redactions)
	}
}

func TestExecuteReleasesSecretsAfterTheAuditEntry(t *testing.T) {
	session := pyth.SessionSpec{ID: "ses", Tenant: "ada", Language: pyth.Python, AllSecrets: true, Limits: execution.DefaultLimits().Default}
	full := pyth.Errorf(pyth.CodeUnavailable, "")
	for name, tt := range map[string]struct {
		session pyth.SessionID
		failure error
	}{
		"recorded":                   {},
		"not recorded":               {failure: full},
		"recorded, in a session":     {session: "ses"},
		"not recorded, in a session": {session: "ses", failure: full},
	} {
		t.Run(name, func(t *testing.T) {
			p := &printing{}
			s, from := withSecrets(p, &turns{spec: session}, pyth.EnvVar{Name: "A", Value: "value-a"})
			from.recorded = func() error {
				if p.job == nil || !p.job.SecretsFollow || p.given != nil {
					t.Errorf("when the use was recorded, the job was %+v and its secrets %q", p.job, p.given)
				}
				return tt.failure
			}
			_, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", AllSecrets: true, Session: tt.session}, nil)
			recorded := tt.failure == nil
			if !errors.Is(err, tt.failure) || p.run.abandoned == recorded || (p.given != nil) != recorded {
				t.Errorf("got %v; abandoned: %v; released: %q", err, p.run.abandoned, p.given)
			}
			if strings.Trim(string(from.given[0].Value), "\x00") != "" {
				t.Errorf("the value remains: %q", from.given[0].Value)
			}
		})
	}
}

func TestExecuteDoesNotDelayProgramsWithoutSecrets(t *testing.T) {
	p := &printing{}
	s, _ := withSecrets(p, nil)
	if _, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", AllSecrets: true}, nil); err != nil || p.job.SecretsFollow {
		t.Errorf("%v; secrets follow: %v", err, p.job.SecretsFollow)
	}
}

func TestExecuteRedactsSecretsOfTheSession(t *testing.T) {
	secrets := []pyth.EnvVar{{Name: "A", Value: "value-a"}, {Name: "B", Value: "value-b"}}
	for name, tt := range map[string]struct {
		session pyth.SessionSpec
		program pyth.Program
		given   []string
		stdout  string
		code    pyth.Code
	}{
		"all of all":  {pyth.SessionSpec{AllSecrets: true}, pyth.Program{AllSecrets: true}, []string{"A=value-a", "B=value-b"}, "[secret:A] [secret:B]", ""},
		"one of all":  {pyth.SessionSpec{AllSecrets: true}, pyth.Program{Secrets: []string{"B"}}, []string{"B=value-b"}, "[secret:A] [secret:B]", ""},
		"none of all": {pyth.SessionSpec{AllSecrets: true}, pyth.Program{}, nil, "[secret:A] [secret:B]", ""},
		"all of one":  {pyth.SessionSpec{Secrets: []string{"A"}}, pyth.Program{AllSecrets: true}, []string{"A=value-a"}, "[secret:A] value-b", ""},
		"none of one": {pyth.SessionSpec{Secrets: []string{"A"}}, pyth.Program{}, nil, "[secret:A] value-b", ""},
		"all of none": {pyth.SessionSpec{}, pyth.Program{AllSecrets: true}, nil, "value-a value-b", ""},
		"a secret that the session does not have": {pyth.SessionSpec{Secrets: []string{"A"}}, pyth.Program{Secrets: []string{"B"}}, nil, "", pyth.CodeInvalid},
		"missing secret": {pyth.SessionSpec{AllSecrets: true}, pyth.Program{Secrets: []string{"C"}}, nil, "", pyth.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			tt.session.ID, tt.session.Tenant, tt.session.Language = "ses", "ada", pyth.Python
			tt.session.Limits = execution.DefaultLimits().Default
			p := &printing{outcome: pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte("value-a value-b")}}
			s, _ := withSecrets(p, &turns{spec: tt.session}, secrets...)
			tt.program.Code, tt.program.Session = "1", "ses"
			e, err := s.Execute(t.Context(), "ada", &tt.program, nil)
			if pyth.ErrorCode(err) != tt.code {
				t.Fatalf("got %v", err)
			}
			if err == nil && string(e.Stdout) != tt.stdout || !slices.Equal(p.given, tt.given) {
				t.Errorf("given %q, printed %q", p.given, e.Stdout)
			}
		})
	}
}

func TestExecuteRedactsCutTexts(t *testing.T) {
	const value = "canary-0123456789-of-a-secret"
	for name, e := range map[string]pyth.ProgramError{
		"a message cut by a hook":    {Message: strings.Repeat("x", 16384-28) + value[:28]},
		"in half a character":        {Message: strings.Repeat("x", 16384-20) + value[:20] + "\ufffd"},
		"a message cut here":         {Message: strings.Repeat("x", 16384-28) + value},
		"in characters of two bytes": {Message: strings.Repeat("é", 8192-10) + value},
		"a name":                     {Name: strings.Repeat("x", 256-20) + value[:20]},
		"a trace cut by a hook":      {Traceback: value[1:] + strings.Repeat("x", 65536-28)},
		"a trace cut here":           {Traceback: value + strings.Repeat("é", 32768-8)},
	} {
		p := &printing{outcome: pyth.Outcome{Status: pyth.StatusFailed, Error: &e}}
		s, _ := withSecrets(p, nil, pyth.EnvVar{Name: "T", Value: value})
		x, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", AllSecrets: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		all := x.Error.Name + x.Error.Message + x.Error.Traceback
		for i := 0; i+7 <= len(value); i++ {
			if strings.Contains(all, value[i:i+7]) {
				t.Errorf("%s: %q is shown", name, value[i:i+7])
			}
		}
		if len(x.Error.Name) > 256 || len(x.Error.Message) > 16384+20 || len(x.Error.Traceback) > 65536+20 || x.Redactions == 0 {
			t.Errorf("%s: %d, %d, %d bytes", name, len(x.Error.Name), len(x.Error.Message), len(x.Error.Traceback))
		}
	}
}

func TestExecuteRedactsPathsAndMediaTypes(t *testing.T) {
	const value = "canary/0123456789\nx"
	p := &printing{outcome: pyth.Outcome{
		Status: pyth.StatusSucceeded,
		Files:  []pyth.File{{Path: "a" + "canary-1"}, {Path: "a[secret:U]"}, {Path: "b"}},
		FilesSkipped: []pyth.SkippedFile{
			{Path: "canary/0123456789\ufffdx", Reason: "its path must not contain control characters"},
			{Path: strings.Repeat("x", 1016) + "canary-\u2026"},
		},
		Results:        []pyth.Result{{"application/canary-1": "canary-1", "image/png": "canary-1", "image/gif": "Y2FuYXJ5LTE="}},
		ResultsSkipped: []pyth.SkippedResult{{MediaType: "application/canary-1+json"}},
		Usage:          pyth.Usage{Network: []pyth.Connection{{Host: "canary-1.example.org", Reason: "host canary-1.example.org is not in network.allow"}}},
	}}
	s, _ := withSecrets(p, nil, pyth.EnvVar{Name: "T", Value: value}, pyth.EnvVar{Name: "U", Value: "canary-1"})
	x, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", AllSecrets: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if x.Files[0].Path != "a[secret:U]" || x.Files[1].Path != "a[secret:U]-2" || x.Files[2].Path != "b" {
		t.Errorf("got %+v", x.Files)
	}
	if x.FilesSkipped[0].Path != "[secret:T]" || strings.Contains(x.FilesSkipped[1].Path, "canary") {
		t.Errorf("got %+v", x.FilesSkipped)
	}
	if r := x.Results[0]; r["application/[secret:U]"] != "[secret:U]" || r["image/png"] != "[secret:U]" || r["image/gif"] != "Y2FuYXJ5LTE=" {
		t.Errorf("got %v", r)
	}
	if x.ResultsSkipped[0].MediaType != "application/[secret:U]+json" || x.Usage.Network[0].Host != "[secret:U].example.org" || strings.Contains(x.Usage.Network[0].Reason, "canary") {
		t.Errorf("got %+v, %+v", x.ResultsSkipped, x.Usage.Network)
	}
}
