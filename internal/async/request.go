package async

import (
	"context"
	"encoding/json"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// request is the stored form of a program. It contains the names of secrets, but not
// their values.
type request struct {
	Language    pyth.Language  `json:"language,omitempty"`
	Runtime     pyth.Runtime   `json:"runtime,omitempty"`
	Code        string         `json:"code"`
	Stdin       string         `json:"stdin,omitempty"`
	Args        []string       `json:"args,omitempty"`
	Env         []pyth.EnvVar  `json:"env,omitempty"`
	Files       []pyth.File    `json:"files,omitempty"`
	OutputFiles []string       `json:"outputFiles,omitempty"`
	Timeout     time.Duration  `json:"timeout,omitempty"`
	Limits      pyth.Limits    `json:"limits"`
	Isolation   pyth.Isolation `json:"isolation,omitempty"`
	Labels      []string       `json:"labels,omitempty"`
	Network     []string       `json:"network,omitempty"`
	Results     bool           `json:"results,omitempty"`
	Secrets     []string       `json:"secrets,omitempty"`
	AllSecrets  bool           `json:"allSecrets,omitempty"`
	KeepSecrets bool           `json:"keepSecrets,omitempty"`
	NoStore     bool           `json:"noStore,omitempty"`
	// Origin is the source of the request. The audit log contains the source in all
	// entries of the run.
	Origin pyth.Origin `json:"origin"`
	// Trace is the value of the header traceparent. It identifies the trace of the
	// request. If there is no trace, it is "".
	Trace string `json:"trace,omitempty"`
}

func newRequest(p *pyth.Program, origin pyth.Origin) *request {
	return &request{
		Language: p.Language, Runtime: p.Runtime, Code: p.Code, Stdin: p.Stdin, Args: p.Args, Env: p.Env, Files: p.Files,
		OutputFiles: p.OutputFiles, Timeout: p.Timeout, Limits: p.Limits, Isolation: p.Isolation, Labels: p.Labels, Network: p.Network,
		Results: p.Results, Secrets: p.Secrets, AllSecrets: p.AllSecrets, KeepSecrets: p.KeepSecrets, NoStore: p.NoStore, Origin: origin,
	}
}

func (r *request) program() *pyth.Program {
	return &pyth.Program{
		Language: r.Language, Runtime: r.Runtime, Code: r.Code, Stdin: r.Stdin, Args: r.Args, Env: r.Env, Files: r.Files,
		OutputFiles: r.OutputFiles, Timeout: r.Timeout, Limits: r.Limits, Isolation: r.Isolation, Labels: r.Labels, Network: r.Network,
		Results: r.Results, Secrets: r.Secrets, AllSecrets: r.AllSecrets, KeepSecrets: r.KeepSecrets, NoStore: r.NoStore,
	}
}

// label returns the label for the encryption of the request of a run. The label contains
// the ID of the run, so the request of one run cannot be decrypted as the request of
// another run.
func label(id pyth.ExecutionID) vault.Label {
	return vault.Label{Kind: "execution request", Name: string(id), Version: 1}
}

// sealRequest encrypts the program and the origin of the request in ctx.
func sealRequest(ctx context.Context, v *vault.Vault, q *pyth.QueuedExecution, p *pyth.Program) ([]byte, error) {
	r := newRequest(p, pyth.OriginOf(ctx))
	r.Trace = tracing.Traceparent(ctx)
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return v.Seal(ctx, q.User, label(q.ID), b)
}

// openRequest decrypts a request.
func openRequest(ctx context.Context, v *vault.Vault, q *pyth.QueuedExecution) (*request, error) {
	b, err := v.Open(ctx, q.User, label(q.ID), q.Request)
	if err != nil {
		return nil, err
	}
	r := new(request)
	return r, json.Unmarshal(b, r)
}
