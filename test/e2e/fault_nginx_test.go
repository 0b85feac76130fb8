package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startNginx starts nginx with the configuration in docs/server.md and returns the URL
// of nginx. In this configuration, it changes only the address of the server.
func startNginx(t *testing.T, s *server) string {
	t.Helper()
	return "http://" + startNginxWith(t, s, "", "")
}

// startNginxWith starts nginx with an extended configuration and returns the address of
// nginx. It adds parameters to the directive "listen", and directives to the block
// "server".
func startNginxWith(t *testing.T, s *server, listen, directives string) string {
	t.Helper()
	_, rest, found := strings.Cut(string(must(os.ReadFile("../../docs/server.md"))(t)), "```nginx\n")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !closed || !strings.Contains(block, "http://127.0.0.1:8080;") {
		t.Fatal("docs/server.md has no example for nginx")
	}
	block = strings.ReplaceAll(block, "http://127.0.0.1:8080;", s.URL+";")
	dir := t.TempDir()
	// Choose a free port in the test, because nginx cannot let the kernel choose a
	// port.
	address := "127.0.0.1:" + freePort(t)
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	config := fmt.Sprintf(`%sdaemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen %s %s;
%s
%s
    }
}
`, user, address, listen, directives, block)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	program := must(filepath.Abs("../../bin/nginx/usr/sbin/nginx"))(t)
	if !exists(program) {
		t.Fatalf("%s is missing: `scripts/prerequisites` fetches it", program)
	}
	cmd := exec.Command(program, "-p", dir, "-c", "nginx.conf")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
		if t.Failed() {
			t.Logf("nginx: %s", &log)
		}
	})
	eventually(t, "nginx serves", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return address
}

// TestLinksBeginWithHTTPSBehindNginx runs nginx with TLS, as docs/server.md describes.
// Links in answers of the server must begin with https.
func TestLinksBeginWithHTTPSBehindNginx(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--trusted-proxies=127.0.0.0/8")
	admin := s.createAdmin(t)
	dir := t.TempDir()
	certificate := writeCertificate(t, dir)
	address := startNginxWith(t, s, "ssl", "ssl_certificate "+dir+"/cert.pem; ssl_certificate_key "+dir+"/key.pem;")
	through := *s
	through.URL = "https://" + address
	through.http = clientFor(certificate)
	var invite struct{ URL string }
	through.call(t, admin, "POST", "/api/v1/admin/invites", object{}).want(t, 201, &invite)
	if !strings.HasPrefix(invite.URL, "https://127.0.0.1/account#invite=") {
		t.Errorf("got the link %s", invite.URL)
	}
	s.call(t, admin, "POST", "/api/v1/admin/invites", object{}).want(t, 201, &invite)
	if !strings.HasPrefix(invite.URL, s.URL+"/account#invite=") {
		t.Errorf("without a proxy, got the link %s", invite.URL)
	}
}

// zeros is a reader that returns zero bytes. Its value is the number of bytes that are
// still left.
type zeros int64

func (z *zeros) Read(p []byte) (int, error) {
	if *z == 0 {
		return 0, io.EOF
	}
	n := min(len(p), int(*z))
	clear(p[:n])
	*z -= zeros(n)
	return n, nil
}

func TestServeLimitsPassDocumentedNginx(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	through := *s
	through.URL = startNginx(t, s)
	viaProxy := *a
	viaProxy.server = &through

	content := bytes.Repeat([]byte("\xff"), 10*mib-1)
	viaProxy.execute(t, object{
		"code":  "import os\nprint(os.path.getsize('f'))",
		"files": []object{{"path": "f", "content": content, "encoding": "base64"}}, "limits": object{"memoryBytes": 512 * mib},
	}).prints(t, fmt.Sprintln(len(content)))

	session := viaProxy.openSession(t, object{"language": "python", "limits": object{"diskBytes": 512 * mib, "memoryBytes": 1024 * mib}})
	const size = 200 * mib
	body := zeros(size)
	put := func(id string, body io.Reader, length int64) *http.Response {
		t.Helper()
		req := must(http.NewRequestWithContext(t.Context(), "PUT", through.URL+"/api/v1/sessions/"+id+"/files/a/large%20file.bin", body))(t)
		req.ContentLength = length
		req.Header.Set("X-Api-Key", a.APIKey)
		req.Header.Set("Content-Type", "application/octet-stream")
		return must(http.DefaultClient.Do(req))(t)
	}
	res := put(session.ID, &body, size)
	if text := must(io.ReadAll(res.Body))(t); res.StatusCode != 201 {
		t.Fatalf("%d: %s", res.StatusCode, text)
	}
	res.Body.Close()
	session.runCode(t, "import os\nprint(os.path.getsize('a/large file.bin'))").prints(t, fmt.Sprintln(size))
	req := must(http.NewRequestWithContext(t.Context(), "GET", through.URL+"/api/v1/sessions/"+session.ID+"/files/a/large%20file.bin", nil))(t)
	req.Header.Set("X-Api-Key", a.APIKey)
	res = must(http.DefaultClient.Do(req))(t)
	if n := must(io.Copy(io.Discard, res.Body))(t); res.StatusCode != 200 || n != size {
		t.Errorf("status %d with %d bytes", res.StatusCode, n)
	}
	res.Body.Close()
	// nginx must forward a file of 1 GiB to the server. The server then refuses the
	// file, because the session does not exist.
	whole := zeros(1 << 30)
	res = put("ses_none", &whole, 1<<30)
	if text := must(io.ReadAll(res.Body))(t); res.StatusCode != 404 || !strings.Contains(string(text), `"not_found"`) {
		t.Errorf("%d: %s", res.StatusCode, text)
	}
	res.Body.Close()

	// Events must arrive while the program is still running. When the client closes the
	// connection, the program must end.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req = must(http.NewRequestWithContext(ctx, "POST", through.URL+"/api/v1/execute", strings.NewReader(
		`{"code": "import time\nprint('first', flush=True)\ntime.sleep(120)", "timeoutMs": 150000}`)))(t)
	req.Header = a.streamHeader()
	req.Header.Set("Content-Type", "application/json")
	begun := time.Now()
	res = must(http.DefaultClient.Do(req))(t)
	lines := bufio.NewScanner(res.Body)
	first := false
	for !first && lines.Scan() {
		first = strings.Contains(lines.Text(), "first")
	}
	if !first || s.metric(t, "pyth_on_executions_running") != 1 {
		t.Errorf("no event before the end, after %v: %v", time.Since(begun), lines.Err())
	}
	cancel()
	res.Body.Close()
	eventually(t, "the run is canceled", func() bool { return s.metric(t, "pyth_on_executions_running") == 0 })
}
