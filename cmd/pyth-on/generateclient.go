package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// maxResponse is the maximum number of bytes that the client reads from a response.
const maxResponse = 256 << 20

// generateResponse contains the fields of a server's response that the command
// `generate` uses.
type generateResponse struct {
	Model           string
	Attempts        []attemptResponse
	MissingPackages []string
	Stopped         *struct{ Code, Detail string }
}

type attemptResponse struct {
	Code, Explanation string
	Execution         *struct {
		Status, Signal, Stdout, Stderr string
		ExitCode                       *int
		Error                          *pyth.ProgramError
		Results                        []map[string]any
	}
}

// runRemote sends the request to the server that the flag --server names. The server
// generates and runs the program.
func (c *generateCommand) runRemote(ctx context.Context, r *pyth.GenerateRequest) (*pyth.Generation, error) {
	key, err := keyFor(c.Server, c.APIKeyFile)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(c.body(r))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.Server, "/")+"/api/v1/generate", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {string(key)}}
	// Do not follow redirects, because a redirect could send the API key to another
	// host.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxResponse))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, problem(res.Status, b)
	}
	a := new(generateResponse)
	if err := json.Unmarshal(b, a); err != nil || len(a.Attempts) == 0 {
		return nil, fmt.Errorf("the response of %s is not from a Pyth-On server; check --server", c.Server)
	}
	return a.generation(), nil
}

// body returns the body of the API request. If the request names a session, the body
// contains no language, limits or time-out. The session determines the language and the
// limits, and the server uses its default time-out.
func (c *generateCommand) body(r *pyth.GenerateRequest) map[string]any {
	body := map[string]any{"prompt": r.Prompt, "execute": r.Execute, "maxAttempts": r.MaxAttempts}
	if r.Session == "" {
		body["language"] = string(r.Language)
		body["timeoutMs"] = r.Timeout.Milliseconds()
		body["limits"] = map[string]any{"memoryBytes": r.Limits.MemoryBytes}
	} else {
		body["sessionId"] = string(r.Session)
	}
	if len(r.Network) > 0 {
		body["network"] = map[string]any{"allow": r.Network}
	}
	files := make([]map[string]string, len(r.Files))
	for i, f := range r.Files {
		files[i] = map[string]string{"path": f.Path, "encoding": "base64", "content": base64.StdEncoding.EncodeToString(f.Content)}
	}
	body["files"] = files
	return body
}

func problem(status string, body []byte) error {
	var p struct {
		Code, Title, Detail string
		Errors              []pyth.FieldError
	}
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return errors.New("the server responded with " + status)
	}
	if p.Detail == "" {
		p.Detail = p.Title
	}
	return &pyth.Error{Code: pyth.Code(p.Code), Message: p.Detail, Fields: p.Errors}
}

func (a *generateResponse) generation() *pyth.Generation {
	g := &pyth.Generation{Model: a.Model, MissingPackages: a.MissingPackages}
	if a.Stopped != nil {
		g.Stopped = pyth.Errorf(pyth.Code(a.Stopped.Code), "%s", a.Stopped.Detail)
	}
	for _, from := range a.Attempts {
		to := pyth.Attempt{Draft: pyth.Draft{Code: from.Code, Explanation: from.Explanation}}
		if x := from.Execution; x != nil {
			to.Execution = &pyth.Execution{Outcome: pyth.Outcome{
				Status: pyth.Status(x.Status), Signal: x.Signal, ExitCode: x.ExitCode, Error: x.Error,
				Stdout: []byte(x.Stdout), Stderr: []byte(x.Stderr),
			}}
			for _, r := range x.Results {
				if text, ok := r["text/plain"].(string); ok {
					to.Execution.Results = append(to.Execution.Results, pyth.Result{"text/plain": text})
				}
			}
		}
		g.Attempts = append(g.Attempts, to)
	}
	return g
}
