// Command go encrypts a program on this machine, stores it on a Pyth-On server, and
// runs it there.
//
// Usage: go run . [-memory-kib N] [-time N] NAME FILE
//
// The master password is the first line of standard input. The command encrypts the
// password before it sends it. Only the sandbox that runs FILE can decrypt the
// password. Set PYTH_ON_URL to the address of the server and PYTH_ON_API_KEY to an API
// key.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

var languages = map[string]string{".py": "python", ".js": "javascript", ".ts": "typescript"}

func main() {
	c := cost{Time: 3, Parallelism: 4}
	memory := flag.Uint("memory-kib", 64<<10, "memory of the key derivation, in KiB")
	passes := flag.Uint("time", 3, "passes of the key derivation")
	flag.Parse()
	c.MemoryKiB, c.Time = uint32(*memory), uint32(*passes)
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	code, err := run(flag.Arg(0), flag.Arg(1), c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(name, file string, c cost) (exitCode int, err error) {
	password, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return 1, err
	}
	password = bytes.TrimSuffix(password, []byte("\n"))
	code, err := os.ReadFile(file)
	if err != nil {
		return 1, err
	}
	p, err := encrypt(code, password, languages[filepath.Ext(file)], name, c)
	if err != nil {
		return 1, err
	}
	if err := call(http.MethodPut, "/api/v1/zk/code/"+name, p, nil); err != nil {
		return 1, err
	}
	var sandbox struct {
		SandboxID string `json:"sandboxId"`
		PublicKey []byte `json:"publicKey"`
	}
	if err := call(http.MethodPost, "/api/v1/zk/sandboxes", nil, &sandbox); err != nil {
		return 1, err
	}
	sealed, err := seal(password, sandbox.PublicKey, sandbox.SandboxID)
	if err != nil {
		return 1, err
	}
	result := struct {
		Stdout, Stderr string
		ExitCode       int
		Error          struct{ Name, Message string }
	}{ExitCode: 1}
	request := map[string]any{"sandboxId": sandbox.SandboxID, "sealedPassword": sealed}
	if err := call(http.MethodPost, "/api/v1/zk/execute/"+name, request, &result); err != nil {
		return 1, err
	}
	_, _ = os.Stdout.WriteString(result.Stdout)
	_, _ = os.Stderr.WriteString(result.Stderr)
	if result.Error.Name != "" {
		fmt.Fprintln(os.Stderr, result.Error.Name+": "+result.Error.Message)
	}
	return result.ExitCode, nil
}

// call sends a request with a JSON body. It decodes the JSON response into the given
// variable, unless the variable is nil.
func call(method, path string, body, into any) error {
	var content io.Reader = http.NoBody
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(context.Background(), method, os.Getenv("PYTH_ON_URL")+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("X-Api-Key", os.Getenv("PYTH_ON_API_KEY"))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, strings.TrimSpace(string(answer)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
