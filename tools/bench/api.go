package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"
)

type api struct {
	url  string
	http *http.Client
}

// newAPI returns a client of the server. The client keeps enough connections open for
// all parallel requests.
func newAPI(url string) *api {
	return &api{url: url, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}}
}

// account is a user of the measured server. It contains an API key.
type account struct {
	*api
	id, key string
}

func (a *api) register(ctx context.Context) (*account, error) {
	var registered struct {
		APIKey string
		User   struct{ ID string }
	}
	body := map[string]string{
		"email":    rand.Text() + "@example.org",
		"password": "correct horse battery",
	}
	nobody := &account{api: a}
	if _, err := nobody.call(ctx, http.MethodPost, "/api/register", body, http.StatusCreated, &registered); err != nil {
		return nil, err
	}
	return &account{api: a, id: registered.User.ID, key: registered.APIKey}, nil
}

// execute runs a Python program on the server. It returns the program's output and the
// duration of the request.
func (a *account) execute(ctx context.Context, code string) (string, time.Duration, error) {
	return a.executeIn(ctx, "python", code)
}

// executeIn runs a program in the given language. It returns the program's output and
// the duration of the request.
func (a *account) executeIn(ctx context.Context, language, code string) (string, time.Duration, error) {
	return a.run(ctx, map[string]any{"language": language, "code": code, "timeoutMs": 60_000})
}

// run sends a request that executes a program. It returns the program's standard
// output, and the time until the last byte of the response has arrived. It returns an
// error if the program fails.
func (a *account) run(ctx context.Context, request map[string]any) (string, time.Duration, error) {
	var run struct{ Status, Stdout, Stderr string }
	took, err := a.call(ctx, http.MethodPost, "/api/v1/execute", request, http.StatusOK, &run)
	if err == nil && run.Status != "succeeded" {
		err = fmt.Errorf("run the program: status %s: %s", run.Status, run.Stderr)
	}
	return run.Stdout, took, err
}

// runAnswer runs the usual program, print(42), and checks its output.
func (a *account) runAnswer(ctx context.Context) (time.Duration, error) {
	printed, took, err := a.execute(ctx, program)
	if err == nil && printed != answer {
		err = fmt.Errorf("the program printed %q", printed)
	}
	return took, err
}

// runImporting runs a program that imports common modules, and checks its output.
func (a *account) runImporting(ctx context.Context) (time.Duration, error) {
	printed, took, err := a.execute(ctx, importing)
	if err == nil && printed != answer {
		err = fmt.Errorf("the program with imports printed %q", printed)
	}
	return took, err
}

// The method "get" returns an operation that sends a GET request to the path.
func (a *account) get(path string) operation {
	return func(ctx context.Context) (time.Duration, error) {
		var object map[string]any
		return a.call(ctx, http.MethodGet, path, nil, http.StatusOK, &object)
	}
}

// call sends a request and checks the status of the response. If the parameter "into"
// is not nil, it decodes the body of the response into this parameter. The returned
// duration does not include the encoding and decoding of JSON, because the benchmark
// does this work, not the server.
func (a *account) call(ctx context.Context, method, path string, body any, status int, into any) (time.Duration, error) {
	return a.callWith(ctx, nil, method, path, body, status, into)
}

// callWith does the same as call, and also sends the given header fields.
func (a *account) callWith(ctx context.Context, header http.Header, method, path string, body any, status int, into any) (time.Duration, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, content)
	if err != nil {
		return 0, err
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", "application/json")
	if a.key != "" {
		req.Header.Set("X-Api-Key", a.key)
	}
	start := time.Now()
	res, err := a.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	if res.StatusCode != status {
		return 0, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	if into == nil {
		return took, nil
	}
	return took, json.Unmarshal(b, into)
}
