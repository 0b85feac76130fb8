package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/app"
)

// adminFlags select the server whose users a command manages. The default is the server
// that uses the data directory. The command works whether this server is running or
// stopped.
type adminFlags struct {
	dataFlags
	storeFlags

	adminServerFlags

	PublicURL string `name:"public-url" placeholder:"URL" help:"Address of the API in links to users. If the server is running, its setting applies instead of this flag."`
}

// adminServerFlags select a running server, and the API key of an administrator.
type adminServerFlags struct {
	Server     string `env:"-" placeholder:"URL" help:"Address of a running server. The command then calls the API of this server as an administrator. The command needs a profile from 'pyth-on login --admin', or an API key in --api-key-file or PYTH_ON_API_KEY."`
	Key        string `env:"-" placeholder:"KEY" help:"API key of an administrator, with the scope admin. All users of this machine can read the arguments of a process, so prefer PYTH_ON_API_KEY or --api-key-file."`
	APIKeyFile string `name:"api-key-file" env:"-" type:"existingfile" help:"File with the API key of an administrator."`
}

// adminClient is a client of the administration API.
type adminClient struct {
	http *http.Client
	base string
	key  []byte
	// agent is the value of the User-Agent header. The audit log records this value.
	agent string
}

const (
	// controlWait is the maximum time that a command waits until a starting server
	// accepts commands.
	controlWait = 10 * time.Second
	controlPoll = 100 * time.Millisecond
)

// call connects to the server and calls f. The parameter "command" is the name of the
// command, which the audit log records. If "creates" is true, the command creates a
// missing database.
func (c *adminFlags) call(ctx context.Context, command string, creates bool, f func(*adminClient) error) error {
	agent := "pyth-on " + command
	if c.Server != "" {
		client, err := c.remote(agent)
		if err != nil {
			return err
		}
		return f(client)
	}
	if err := c.requireLocal(); err != nil {
		return err
	}
	if err := c.checkOwner(); err != nil {
		return err
	}
	if err := keepPrivate(c.DataDir, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		return err
	}
	if err := c.checkDatabase(creates); err != nil {
		return err
	}
	for deadline := time.Now().Add(controlWait); ; {
		data, free, err := app.OpenDirectory(c.DataDir, 0)
		if err != nil {
			return err
		}
		if free {
			return errors.Join(c.withoutServer(ctx, data, agent, f), data.Close())
		}
		if err = throughControl(data.Path, agent, f); !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("another process uses the data directory %s and accepts no commands; "+
				"wait until the server has started, or stop the process", data.Path)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(controlPoll):
		}
	}
}

// requireLocal returns an error if there is an API key but no server.
func (c *adminServerFlags) requireLocal() error {
	if c.Key != "" || c.APIKeyFile != "" {
		return errors.New("--key and --api-key-file need --server")
	}
	return nil
}

// remote returns a client of the server in --server.
func (c *adminServerFlags) remote(agent string) (*adminClient, error) {
	if u, err := url.Parse(c.Server); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("--server must be a URL such as https://api.example.org")
	}
	key := []byte(c.Key)
	if c.Key == "" {
		var err error
		if key, err = keyFor(c.Server, c.APIKeyFile); err != nil {
			return nil, err
		}
	} else if c.APIKeyFile != "" {
		return nil, errors.New("both --key and --api-key-file are set; choose one")
	}
	warnOfPlainHTTP(os.Stderr, c.Server)
	// Do not follow redirects, because a redirect could send the API key to another
	// host.
	client := &http.Client{
		Timeout:       2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &adminClient{http: client, base: strings.TrimRight(c.Server, "/"), key: key, agent: agent}, nil
}

// throughControl calls f with a client of the running server that uses the data
// directory. The client connects to the control socket.
func throughControl(dataDir, agent string, f func(*adminClient) error) error {
	short, err := shortPath(dataDir)
	if err != nil {
		return err
	}
	defer func() { _ = short.Close() }()
	client := &http.Client{Timeout: controlTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", short.name)
		},
		DisableKeepAlives: true,
	}}
	return f(&adminClient{http: client, base: "http://pyth-on", agent: agent})
}

// checkDatabase returns an error if the command needs an existing SQLite database, but
// there is none. If "creates" is true, the command needs no existing database.
func (c *adminFlags) checkDatabase(creates bool) error {
	_, hidden := hiddenDescriptor(databaseVariable)
	if creates || hidden || c.Database != "" || c.DatabaseFile != "" {
		return nil
	}
	_, err := c.sqlitePath()
	return err
}

// checkOwner returns an error if root runs the command, but another user owns the data
// directory. The server runs as the owner of the directory, and the owner could not
// open files that root creates.
func (c *adminFlags) checkOwner() error {
	info, err := os.Stat(c.DataDir)
	if err != nil {
		return nil // The data directory does not exist yet.
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, controlName)); err == nil {
		return nil // The server executes the command.
	}
	return fmt.Errorf("the data directory %s belongs to user %d; run the command as this user, or start the server first", c.DataDir, owner.Uid)
}

// withoutServer opens the database and calls f. The caller must hold the lock of the
// data directory.
func (c *adminFlags) withoutServer(ctx context.Context, data *app.Directory, agent string, f func(*adminClient) error) (err error) {
	store, err := c.openStore(ctx, data.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	accounts, err := app.OpenAccounts(ctx, store.Store, store.vault, account.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, accounts.Close()) }()
	if err := store.removeMark(); err != nil {
		return err
	}
	handler, err := api.NewControl(accounts.Admin, c.PublicURL, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return f(&adminClient{http: &http.Client{Transport: handlerTransport{handler}}, base: "http://pyth-on", agent: agent})
}

// handlerTransport is an HTTP transport that calls a handler in this process instead of
// a server.
type handlerTransport struct{ handler http.Handler }

func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	request := r.Clone(r.Context())
	if request.Body == nil {
		request.Body = http.NoBody
	}
	w := &bufferedResponse{header: http.Header{}}
	t.handler.ServeHTTP(w, request)
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header, Body: io.NopCloser(&w.body), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// bufferedResponse is a ResponseWriter that keeps the response in memory.
type bufferedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *bufferedResponse) Header() http.Header { return w.header }

func (w *bufferedResponse) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *bufferedResponse) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// The method "do" sends a request. If the body is not nil, the method sends it as JSON.
// If "answer" is not nil, the method decodes the JSON response into "answer".
func (c *adminClient) do(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	}
	res, err := c.send(ctx, method, path, content)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxResponse))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return app.Explain(problem(res.Status, b))
	}
	if answer == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return fmt.Errorf("the response of %s is not from a Pyth-On server; check --server", c.base)
	}
	return nil
}

// send sends a request. If the body is not nil, it is JSON. The caller closes the body of
// the response.
func (c *adminClient) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", c.agent)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if len(c.key) > 0 {
		r.Header.Set("X-Api-Key", string(c.key))
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("call the server: %w", err)
	}
	return res, nil
}

// list returns the items of all pages of a list of users or invites.
func (c *adminClient) list(ctx context.Context, path string, query url.Values) ([]json.RawMessage, error) {
	query.Set("limit", "200")
	all := []json.RawMessage{}
	for {
		var page struct {
			Users, Invites []json.RawMessage
			NextCursor     string
		}
		if err := c.do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(append(all, page.Users...), page.Invites...)
		if page.NextCursor == "" {
			return all, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// printJSON prints the value as indented JSON.
func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
