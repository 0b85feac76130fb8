// Command oapi tests the API with a client that oapi-codegen has generated.
//
// Usage: oapi URL
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/pyth-on/pyth-on/test/clients/oapi/api"
	"github.com/pyth-on/pyth-on/test/clients/zk"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ok")
}

// The function "failed" returns an error if the response does not have the expected
// status.
func failed(call string, want int, r interface{ StatusCode() int }, body []byte) error {
	if r.StatusCode() == want {
		return nil
	}
	return fmt.Errorf("%s: status %d: %s", call, r.StatusCode(), body)
}

func run(ctx context.Context, url string) error {
	key, err := register(ctx, url)
	if err != nil {
		return err
	}
	c, err := api.NewClientWithResponses(url, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Api-Key", key)
		return nil
	}))
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, *api.ClientWithResponses) error{
		runProgram, stream, secret, session, packages, encrypted, audit,
	} {
		if err := step(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func register(ctx context.Context, url string) (key string, err error) {
	c, err := api.NewClientWithResponses(url)
	if err != nil {
		return "", err
	}
	r, err := c.RegisterAccountWithResponse(ctx, api.AuthRequest{
		Email: strings.ToLower(rand.Text()) + "@example.org", Password: rand.Text(),
	})
	if err != nil {
		return "", err
	}
	if err := failed("registerAccount", 201, r, r.Body); err != nil {
		return "", err
	}
	return *r.JSON201.ApiKey, nil
}

func runProgram(ctx context.Context, c *api.ClientWithResponses) error {
	r, err := c.RunProgramWithResponse(ctx, nil, api.ExecuteRequest{
		Code: "import sys\nprint(6 * 7, sys.argv[1])", Args: &[]string{"x"}, Labels: &[]string{"client"},
	})
	if err != nil {
		return err
	}
	if err := failed("runProgram", 200, r, r.Body); err != nil {
		return err
	}
	if r.JSON200.Status != api.ExecutionStatusSucceeded || r.JSON200.Stdout != "42 x\n" {
		return fmt.Errorf("runProgram: %+v", *r.JSON200)
	}
	bad, err := c.RunProgramWithResponse(ctx, nil, api.ExecuteRequest{Code: ""})
	if err != nil {
		return err
	}
	if problem := bad.ApplicationproblemJSON400; problem == nil || problem.Code != api.ErrorCodeInvalidRequest {
		return fmt.Errorf("runProgram without code: status %d: %s", bad.StatusCode(), bad.Body)
	}
	return nil
}

func stream(ctx context.Context, c *api.ClientWithResponses) error {
	r, err := c.RunProgram(ctx, nil, api.ExecuteRequest{Code: "print('one')\nprint('two')"}, func(_ context.Context, r *http.Request) error {
		r.Header.Set("Accept", "text/event-stream")
		return nil
	})
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	var events []string
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			events = append(events, name)
		}
	}
	if n := len(events); n < 3 || events[0] != "start" || events[n-1] != "end" {
		return fmt.Errorf("stream: the events are %q", events)
	}
	return nil
}

func secret(ctx context.Context, c *api.ClientWithResponses) error {
	put, err := c.PutSecretWithResponse(ctx, "API_TOKEN", api.SecretInput{Value: "s3cr3t-t0ken"})
	if err != nil {
		return err
	}
	if err := failed("putSecret", 201, put, put.Body); err != nil {
		return err
	}
	r, err := c.RunProgramWithResponse(ctx, nil, api.ExecuteRequest{Code: "import os\nprint(os.environ['API_TOKEN'])"})
	if err != nil {
		return err
	}
	if r.JSON200 == nil || r.JSON200.Stdout != "[secret:API_TOKEN]\n" {
		return fmt.Errorf("run with a secret: %s", r.Body)
	}
	return nil
}

func session(ctx context.Context, c *api.ClientWithResponses) error {
	created, err := c.CreateSessionWithResponse(ctx, nil, api.SessionRequest{})
	if err != nil {
		return err
	}
	if err := failed("createSession", 201, created, created.Body); err != nil {
		return err
	}
	id := created.JSON201.Id
	wrote, err := c.WriteSessionFileWithBodyWithResponse(ctx, id, "in.txt", "application/octet-stream", strings.NewReader("hello"))
	if err != nil {
		return err
	}
	if err := failed("writeSessionFile", 201, wrote, wrote.Body); err != nil {
		return err
	}
	for _, code := range []string{"text = open('in.txt').read().upper()", "open('out.txt', 'w').write(text)"} {
		r, err := c.RunProgramWithResponse(ctx, nil, api.ExecuteRequest{Code: code, SessionId: &id})
		if err != nil {
			return err
		}
		if r.JSON200 == nil || r.JSON200.Status != api.ExecutionStatusSucceeded {
			return fmt.Errorf("run in a session: %s", r.Body)
		}
	}
	read, err := c.ReadSessionFileWithResponse(ctx, id, "out.txt")
	if err != nil {
		return err
	}
	if string(read.Body) != "HELLO" {
		return fmt.Errorf("readSessionFile: %s", read.Body)
	}
	deleted, err := c.DeleteSessionWithResponse(ctx, id)
	if err != nil {
		return err
	}
	return failed("deleteSession", 204, deleted, deleted.Body)
}

func packages(ctx context.Context, c *api.ClientWithResponses) error {
	language := api.Python
	r, err := c.ListPackagesWithResponse(ctx, &api.ListPackagesParams{Language: &language})
	if err != nil {
		return err
	}
	return failed("listPackages", 200, r, r.Body)
}

func encrypted(ctx context.Context, c *api.ClientWithResponses) error {
	password := rand.Text()
	e, err := zk.Encrypt("print('sealed')", password, "python")
	if err != nil {
		return err
	}
	stored, err := c.StoreEncryptedProgramWithResponse(ctx, "report", api.ZKPayload{
		Version: 1, Language: api.Python, Ciphertext: e.Ciphertext,
		Kdf:    api.ZKKDF{Name: api.Argon2id, Salt: e.Salt, Time: zk.Time, MemoryKiB: zk.MemoryKiB, Parallelism: zk.Parallelism},
		Cipher: api.ZKCipher{Name: api.Xchacha20Poly1305, Nonce: e.Nonce},
	})
	if err != nil {
		return err
	}
	if err := failed("storeEncryptedProgram", 201, stored, stored.Body); err != nil {
		return err
	}
	var request api.ZKExecuteRequest
	if err := request.FromZKPasswordExecuteRequest(api.ZKPasswordExecuteRequest{MasterPassword: password}); err != nil {
		return err
	}
	r, err := c.RunEncryptedProgramWithResponse(ctx, "report", nil, request)
	if err != nil {
		return err
	}
	if r.JSON200 == nil || r.JSON200.Stdout != "sealed\n" {
		return fmt.Errorf("runEncryptedProgram: %s", r.Body)
	}
	return nil
}

func audit(ctx context.Context, c *api.ClientWithResponses) error {
	limit := int64(2)
	var cursor *string
	entries, pages := 0, 0
	for {
		r, err := c.ListAuditEntriesWithResponse(ctx, &api.ListAuditEntriesParams{Limit: &limit, Cursor: cursor})
		if err != nil {
			return err
		}
		if err := failed("listAuditEntries", 200, r, r.Body); err != nil {
			return err
		}
		pages++
		entries += len(r.JSON200.Entries)
		if cursor = r.JSON200.NextCursor; cursor == nil {
			break
		}
	}
	if pages < 3 || entries < 6 {
		return fmt.Errorf("listAuditEntries: %d entries on %d pages", entries, pages)
	}
	return nil
}
