//go:build live

// The examples call the server at the address in PYTH_ON_URL. They use the API key in
// PYTH_ON_API_KEY. The test TestGoLibraryExamplesRun in test/e2e runs the examples.

package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/pyth-on/pyth-on/client"
)

// connect returns a client of the server whose address is in PYTH_ON_URL.
func connect() *client.Client {
	c, err := client.New(os.Getenv("PYTH_ON_URL"), client.WithAPIKey(os.Getenv("PYTH_ON_API_KEY")))
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func ExampleClient_Run() {
	run, err := connect().Run(context.Background(), &client.ExecuteRequest{
		Code:        "open('out.txt', 'w').write(open('in.txt').read().upper())\nprint('done')\n6 * 7",
		Files:       []client.InputFile{client.NewInputFile("in.txt", []byte("hello"))},
		OutputFiles: []string{"*.txt"},
		Limits:      &client.LimitsRequest{MemoryBytes: 128 << 20},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Status, *run.ExitCode, strings.TrimSpace(run.Stdout), run.Results[0]["text/plain"])
	for _, f := range run.Files {
		fmt.Println(f.Path, f.Content)
	}
	// Output:
	// succeeded 0 done 42
	// in.txt hello
	// out.txt HELLO
}

func ExampleClient_Stream() {
	for event, err := range connect().Stream(context.Background(), &client.ExecuteRequest{Code: "import sys\nprint('one')\nprint('two', file=sys.stderr)\nsys.exit(3)"}) {
		if err != nil {
			log.Fatal(err)
		}
		switch e := event.(type) {
		case *client.Output:
			fmt.Print(e.Text)
		case *client.Ended:
			fmt.Println(e.Status, *e.ExitCode)
		}
	}
	// Unordered output:
	// one
	// two
	// failed 3
}

func ExampleClient_Start() {
	c, ctx := connect(), context.Background()
	run, err := c.Start(ctx, &client.ExecuteRequest{Code: "print(42)", Labels: []string{"nightly"}})
	if err != nil {
		log.Fatal(err)
	}
	for event, err := range c.Events(ctx, run.ID) {
		if err != nil {
			log.Fatal(err)
		}
		if output, ok := event.(*client.Output); ok {
			fmt.Print(output.Text)
		}
	}
	run, err = c.Wait(ctx, run.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.State, run.Status)
	for found, err := range c.Executions(ctx, client.ExecutionFilter{Label: "nightly"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(found.ID == run.ID)
		break
	}
	// Output:
	// 42
	// ended succeeded
	// true
}

func ExampleClient_OpenSession() {
	ctx := context.Background()
	session, err := connect().OpenSession(ctx, &client.SessionRequest{Language: client.LanguagePython})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = session.Close(ctx) }()
	if err := session.WriteFile(ctx, "data/in.txt", strings.NewReader("20")); err != nil {
		log.Fatal(err)
	}
	for _, code := range []string{"x = int(open('data/in.txt').read())", "x += 1", "print(x * 2)\nopen('out.txt', 'w').write(str(x))"} {
		run, err := session.Run(ctx, code)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(run.Stdout)
	}
	f, err := session.ReadFile(ctx, "out.txt")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(f)
	fmt.Println(string(b), err)
	// Output:
	// 42
	// 21 <nil>
}

func ExampleClient_SetSecret() {
	c, ctx := connect(), context.Background()
	if _, err := c.SetSecret(ctx, "BILLING_TOKEN", &client.SecretInput{Value: "s3cr3t-t0ken"}); err != nil {
		log.Fatal(err)
	}
	run, err := c.Run(ctx, &client.ExecuteRequest{Code: "import os\nprint(os.environ['BILLING_TOKEN'])", Secrets: []string{"BILLING_TOKEN"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(run.Stdout)
	// The environment variable does not exist, because this request sends no secrets.
	run, err = c.Run(ctx, &client.ExecuteRequest{Code: "import os\nprint(os.environ['BILLING_TOKEN'])", Secrets: []string{}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Status, run.Error.Name)
	fmt.Println(c.DeleteSecret(ctx, "BILLING_TOKEN"))
	// Output:
	// [secret:BILLING_TOKEN]
	// failed KeyError
	// <nil>
}

func ExampleClient_RunEncrypted() {
	c, ctx, password := connect(), context.Background(), []byte("six random words from a manager")
	stored, err := c.StoreEncrypted(ctx, "report", client.LanguagePython, []byte("import sys\nprint('sealed', sys.argv[1])"), password)
	if err != nil {
		log.Fatal(err)
	}
	run, err := c.RunEncrypted(ctx, stored.Name, password, &client.RunOptions{Args: []string{"x"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(run.Stdout)
	run, err = c.RunEncrypted(ctx, stored.Name, []byte("another password"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Status, run.Error.Name)
	fmt.Println(c.DeleteEncrypted(ctx, "report"))
	// Output:
	// sealed x
	// failed DecryptionError
	// <nil>
}

func ExampleHasCode() {
	_, err := connect().Execution(context.Background(), "0196f0a2-1234-7abc-8def-0123456789ab")
	fmt.Println(client.HasCode(err, client.ErrorCodeNotFound))
	// Output: true
}
