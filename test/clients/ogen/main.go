// Command ogen tests the API with a client that ogen has generated.
//
// Usage: ogen URL
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/ogen-go/ogen/ogenerrors"

	"github.com/pyth-on/pyth-on/test/clients/ogen/api"
	"github.com/pyth-on/pyth-on/test/clients/zk"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ok")
}

// credentials adds the API key to requests, unless the key is "".
type credentials struct{ key string }

func (c *credentials) ApiKey(context.Context, api.OperationName) (api.ApiKey, error) {
	if c.key == "" {
		return api.ApiKey{}, ogenerrors.ErrSkipClientSecurity
	}
	return api.ApiKey{APIKey: c.key}, nil
}

func (*credentials) Bearer(context.Context, api.OperationName) (api.Bearer, error) {
	return api.Bearer{}, ogenerrors.ErrSkipClientSecurity
}

func run(ctx context.Context, url string) error {
	caller := &credentials{}
	c, err := api.NewClient(url, caller)
	if err != nil {
		return err
	}
	res, err := c.RegisterAccount(ctx, &api.AuthRequest{Email: strings.ToLower(rand.Text()) + "@example.org", Password: rand.Text()})
	if err != nil {
		return err
	}
	account, ok := res.(*api.AuthResponseHeaders)
	if !ok {
		return fmt.Errorf("registerAccount: %+v", res)
	}
	caller.key = account.Response.ApiKey.Value
	steps := []func(context.Context, *api.Client) error{runProgram, secret, session, packages, encrypted, audit}
	for _, step := range steps {
		if err := step(ctx, c); err != nil {
			return err
		}
	}
	return stream(ctx, url, caller)
}

func execute(ctx context.Context, c *api.Client, request *api.ExecuteRequest) (*api.ExecuteResponse, error) {
	res, err := c.RunProgram(ctx, request, api.RunProgramParams{})
	if err != nil {
		return nil, fmt.Errorf("runProgram: %w", err)
	}
	done, ok := res.(*api.ExecuteResponseHeaders)
	if !ok {
		return nil, fmt.Errorf("runProgram: %+v", res)
	}
	return &done.Response, nil
}

func runProgram(ctx context.Context, c *api.Client) error {
	done, err := execute(ctx, c, &api.ExecuteRequest{
		Code: "import sys\nprint(6 * 7, sys.argv[1])", Args: []string{"x"}, Labels: []string{"client"},
	})
	if err != nil {
		return err
	}
	if done.Status != api.ExecutionStatusSucceeded || done.Stdout != "42 x\n" {
		return fmt.Errorf("runProgram: %+v", done)
	}
	res, err := c.GetSession(ctx, api.GetSessionParams{ID: "none"})
	if err != nil {
		return err
	}
	if problem, ok := res.(*api.NotFoundHeaders); !ok || problem.Response.Code != api.ErrorCodeNotFound {
		return fmt.Errorf("getSession of an unknown id: %+v", res)
	}
	return nil
}

// acceptEvents adds an Accept header that requests an event stream.
type acceptEvents struct{}

func (acceptEvents) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("Accept", "text/event-stream")
	return http.DefaultClient.Do(r)
}

func stream(ctx context.Context, url string, caller *credentials) error {
	c, err := api.NewClient(url, caller, api.WithClient(acceptEvents{}))
	if err != nil {
		return err
	}
	res, err := c.RunProgram(ctx, &api.ExecuteRequest{Code: "print('one')"}, api.RunProgramParams{})
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	events, ok := res.(*api.RunProgramOKTextEventStreamHeaders)
	if !ok {
		return fmt.Errorf("stream: %+v", res)
	}
	text, err := io.ReadAll(events.Response)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(text), "id: 1\nevent: start\n") || !strings.Contains(string(text), "\nevent: end\n") {
		return fmt.Errorf("stream: the events are %q", text)
	}
	return nil
}

func secret(ctx context.Context, c *api.Client) error {
	res, err := c.PutSecret(ctx, &api.SecretInput{Value: "s3cr3t-t0ken"}, api.PutSecretParams{Name: "API_TOKEN"})
	if err != nil {
		return err
	}
	if _, ok := res.(*api.PutSecretCreated); !ok {
		return fmt.Errorf("putSecret: %+v", res)
	}
	done, err := execute(ctx, c, &api.ExecuteRequest{Code: "import os\nprint(os.environ['API_TOKEN'])"})
	if err != nil {
		return err
	}
	if done.Stdout != "[secret:API_TOKEN]\n" {
		return fmt.Errorf("run with a secret: %+v", done)
	}
	return nil
}

func session(ctx context.Context, c *api.Client) error {
	res, err := c.CreateSession(ctx, &api.SessionRequest{}, api.CreateSessionParams{})
	if err != nil {
		return err
	}
	created, ok := res.(*api.SessionHeaders)
	if !ok {
		return fmt.Errorf("createSession: %+v", res)
	}
	id := created.Response.ID
	wrote, err := c.WriteSessionFile(ctx, api.WriteSessionFileReq{Data: strings.NewReader("hello")}, api.WriteSessionFileParams{ID: id, Path: "in.txt"})
	if err != nil {
		return err
	}
	if _, ok := wrote.(*api.WriteSessionFileCreated); !ok {
		return fmt.Errorf("writeSessionFile: %+v", wrote)
	}
	for _, code := range []string{"text = open('in.txt').read().upper()", "open('out.txt', 'w').write(text)"} {
		done, err := execute(ctx, c, &api.ExecuteRequest{Code: code, SessionId: api.NewOptString(id)})
		if err != nil {
			return err
		}
		if done.Status != api.ExecutionStatusSucceeded {
			return fmt.Errorf("run in a session: %+v", done)
		}
	}
	file, err := c.ReadSessionFile(ctx, api.ReadSessionFileParams{ID: id, Path: "out.txt"})
	if err != nil {
		return err
	}
	content, ok := file.(*api.ReadSessionFileOKHeaders)
	if !ok {
		return fmt.Errorf("readSessionFile: %+v", file)
	}
	text, err := io.ReadAll(content.Response)
	if err != nil || string(text) != "HELLO" {
		return fmt.Errorf("readSessionFile: %q, %v", text, err)
	}
	deleted, err := c.DeleteSession(ctx, api.DeleteSessionParams{ID: id})
	if err != nil {
		return err
	}
	if _, ok := deleted.(*api.DeleteSessionNoContent); !ok {
		return fmt.Errorf("deleteSession: %+v", deleted)
	}
	return nil
}

func packages(ctx context.Context, c *api.Client) error {
	res, err := c.ListPackages(ctx, api.ListPackagesParams{Language: api.NewOptLanguage(api.LanguagePython)})
	if err != nil {
		return err
	}
	if _, ok := res.(*api.PackageListHeaders); !ok {
		return fmt.Errorf("listPackages: %+v", res)
	}
	return nil
}

func encrypted(ctx context.Context, c *api.Client) error {
	password := rand.Text()
	e, err := zk.Encrypt("print('sealed')", password, "python")
	if err != nil {
		return err
	}
	stored, err := c.StoreEncryptedProgram(ctx, &api.ZKPayload{
		Version: 1, Language: api.LanguagePython, Ciphertext: e.Ciphertext,
		Kdf:    api.ZKKDF{Name: api.ZKKDFNameArgon2id, Salt: e.Salt, Time: zk.Time, MemoryKiB: zk.MemoryKiB, Parallelism: zk.Parallelism},
		Cipher: api.ZKCipher{Name: api.ZKCipherNameXchacha20Poly1305, Nonce: e.Nonce},
	}, api.StoreEncryptedProgramParams{Name: "report"})
	if err != nil {
		return err
	}
	if _, ok := stored.(*api.StoreEncryptedProgramCreated); !ok {
		return fmt.Errorf("storeEncryptedProgram: %+v", stored)
	}
	request := api.NewZKPasswordExecuteRequestZKExecuteRequest(api.ZKPasswordExecuteRequest{MasterPassword: password})
	res, err := c.RunEncryptedProgram(ctx, request, api.RunEncryptedProgramParams{Name: "report"})
	if err != nil {
		return fmt.Errorf("runEncryptedProgram: %w", err)
	}
	done, ok := res.(*api.ExecuteResponseHeaders)
	if !ok || done.Response.Stdout != "sealed\n" {
		return fmt.Errorf("runEncryptedProgram: %+v", res)
	}
	return nil
}

func audit(ctx context.Context, c *api.Client) error {
	params := api.ListAuditEntriesParams{Limit: api.NewOptInt64(2)}
	entries, pages := 0, 0
	for {
		res, err := c.ListAuditEntries(ctx, params)
		if err != nil {
			return fmt.Errorf("listAuditEntries: %w", err)
		}
		page, ok := res.(*api.AuditListHeaders)
		if !ok {
			return fmt.Errorf("listAuditEntries: %+v", res)
		}
		pages++
		entries += len(page.Response.Entries)
		next, more := page.Response.NextCursor.Get()
		if !more {
			break
		}
		params.Cursor = api.NewOptString(next)
	}
	if pages < 3 || entries < 6 {
		return fmt.Errorf("listAuditEntries: %d entries on %d pages", entries, pages)
	}
	return nil
}
