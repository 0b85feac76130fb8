package e2e_test

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// debianImage is a custom image that consists of Debian packages. All tests share the
// image, and it is built at most once. If the environment variable TEST_RUNTIMES
// contains a directory, the image is stored there. Later test runs then reuse it.
type debianImage struct {
	name, packages, exclude string

	tar func() (string, error)
}

func newDebianImage(name, packages, exclude string) *debianImage {
	return &debianImage{name: name, packages: packages, exclude: exclude, tar: sync.OnceValues(func() (string, error) {
		dir := os.Getenv("TEST_RUNTIMES")
		if dir == "" {
			dir = imageDir
		}
		file := filepath.Join(dir, name+".tar")
		if _, err := os.Stat(file); err != nil {
			build := exec.Command(binary, "runtime", "build", "--suite=bookworm", "--from-debian="+packages, "--exclude="+exclude, "-o", file)
			if out, err := build.CombinedOutput(); err != nil {
				return "", &failedCommand{err, out}
			}
		}
		// This run converts the image to EROFS and stores the result in the cache.
		// Servers then use the result from the cache.
		try := exec.Command(binary, "run", "--node=off", "--cache-dir", imageDir, "--runtime", file, "-")
		try.Stdin = strings.NewReader("print('ready')")
		if out, err := try.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("ready")) {
			return "", &failedCommand{err, out}
		}
		return file, nil
	})}
}

type failedCommand struct {
	err error
	out []byte
}

func (f *failedCommand) Error() string { return f.err.Error() + ": " + string(f.out) }

// flag returns the server flag that adds this image to a server.
func (r *debianImage) flag(t *testing.T) string {
	t.Helper()
	return "--runtime=" + r.name + "=" + must(r.tar())(t)
}

// plainDebian is an image with Python, CPython's tests and only a few other packages.
var plainDebian = newDebianImage("debian", "python3,python3.11,libpython3.11-testsuite,tzdata,netbase,libstdc++6", "")

// dataScience is an image with common Python packages for data science. Debian's scipy
// depends on compilers, but the image excludes these compilers.
var dataScience = newDebianImage("data-science", "python3,python3-numpy,python3-pandas,python3-matplotlib",
	"gcc*,g++*,cpp*,lib*-dev,linux-libc-dev,binutils*,libasan*,libtsan*,liblsan*,libubsan*")

func TestRuntimeRunsProgramsInCustomImage(t *testing.T) {
	t.Parallel()
	s := startServer(t, plainDebian.flag(t))
	a := s.register(t)

	var info struct {
		Languages []struct {
			Name     string
			Runtimes []struct{ Name, Version string }
		}
	}
	s.call(t, nil, "GET", "/api", nil).want(t, 200, &info)
	runtimes := info.Languages[0].Runtimes
	if len(runtimes) != 2 || runtimes[0].Name != "python" || runtimes[1].Name != "debian" || !strings.HasPrefix(runtimes[1].Version, "3.11.") {
		t.Errorf("offered images: %v", runtimes)
	}

	in := func(code string, more ...object) *execution {
		t.Helper()
		request := object{"code": code, "runtime": "debian"}
		for _, m := range more {
			for k, v := range m {
				request[k] = v
			}
		}
		return a.execute(t, request)
	}
	const where = "import sys, os\nprint(sys.version_info[:2], sys.executable, os.getuid(), os.getcwd())"
	in(where).prints(t, "(3, 11) /usr/bin/python3 1000 /work\n")
	a.run(t, "import sys\nprint(sys.version_info[:2])").prints(t, "(3, 14)\n")
	in(where, object{"isolation": "execution"}).prints(t, "(3, 11) /usr/bin/python3 1000 /work\n")
	in("import sys\nprint(sys.stdin.read(), sys.argv, open('f').read())", object{
		"stdin": "in", "args": []string{"a"}, "files": []object{{"path": "f", "content": "file"}},
	}).prints(t, "in ['main.py', 'a'] file\n")

	if x := in("x = 20\nx + 1"); !cmp.Equal(x.Results, richResults{{"text/plain": "21"}}) {
		t.Errorf("got results %v", x.Results)
	}
	x := in("from pyth_on.display import HTML\ndisplay(HTML('<b>'))\n\ndef f():\n    return 1 / 0\nf()").ends(t, "failed")
	if x.Error == nil || x.Error.Name != "ZeroDivisionError" || x.Error.Line != 5 || !cmp.Equal(x.Results[0]["text/html"], any("<b>")) {
		t.Errorf("got %v", x)
	}
	if got := string(in("open('out', 'w').write('made')", object{"outputFiles": []string{"out"}}).fileContent(t, "out")); got != "made" {
		t.Errorf("the file contains %q", got)
	}

	in("b = bytearray(300 << 20)").ends(t, "out_of_memory")
	in("while True: pass", object{"timeoutMs": 500}).ends(t, "timed_out")
	in("open('f', 'wb').write(bytes(101 << 20))").ends(t, "failed")
	in("import socket\nsocket.create_connection(('192.0.2.1', 80), 2)").ends(t, "failed")
	in("open('/etc/x', 'w')").ends(t, "failed")
	in("import os\nprint(os.system('id -un; cat /etc/shadow; echo $HOME'))").prints(t, "sandbox\n/home/sandbox\n0\n")

	p := s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "runtime": "none"}).refused(t, 400, "invalid_request")
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.runtime" || !strings.Contains(p.Errors[0].Message, `"python", "debian"`) {
		t.Errorf("the error is %v", p.Errors)
	}
	s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "language": "javascript", "runtime": "debian"}).refused(t, 400, "invalid_request")
	a.execute(t, object{"code": "print(1)", "runtime": "python"}).prints(t, "1\n")
}

func TestSessionKeepsRuntime(t *testing.T) {
	t.Parallel()
	s := startServer(t, plainDebian.flag(t))
	a := s.register(t)
	x := a.openSession(t, object{"runtime": "debian"})
	x.runCode(t, "import sys\ny = sys.version_info[1]").prints(t, "")
	x.runCode(t, "print(y)").prints(t, "11\n")
	if got := x.runCode(t, "y + 1").Results; !cmp.Equal(got, richResults{{"text/plain": "12"}}) {
		t.Errorf("got results %v", got)
	}
	x.runCode(t, "1 / 0").ends(t, "failed")
	x.runCode(t, "print(y)", object{"runtime": "debian"}).prints(t, "11\n")
	s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "sessionId": x.ID, "runtime": "python"}).refused(t, 400, "invalid_request")
	s.call(t, a, "POST", "/api/v1/sessions", object{"runtime": "none"}).refused(t, 400, "invalid_request")
}

func TestRuntimeRunsDataScienceImage(t *testing.T) {
	t.Parallel()
	s := startServer(t, dataScience.flag(t), "--preload="+dataScience.name+"=numpy")
	a := s.register(t)
	x := a.execute(t, object{"runtime": dataScience.name, "limits": object{"memoryBytes": 512 << 20}, "code": `
import sys
print("numpy" in sys.modules, "pandas" in sys.modules)

import numpy as np, pandas as pd
a = np.arange(6.0).reshape(2, 3)
print(np.linalg.inv(a @ a.T + np.eye(2)).shape, a.sum())
table = pd.DataFrame({"city": ["a", "b", "a"], "n": [1, 2, 3]})
print(table.groupby("city").n.sum().to_dict())
display(table)

import matplotlib.pyplot as plt
plt.plot(table.n);
`}).prints(t, "True False\n(2, 2) 15.0\n{'a': 4, 'b': 2}\n")
	if len(x.Results) != 2 {
		t.Fatalf("got results %v", x.Results)
	}
	if html, _ := x.Results[0]["text/html"].(string); !strings.Contains(html, "<table") {
		t.Errorf("the table is shown as %v", x.Results[0])
	}
	encoded, _ := x.Results[1]["image/png"].(string)
	plot, err := png.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(encoded)))
	if err != nil || plot.Bounds().Dx() < 100 {
		t.Errorf("the plot is not a picture: %v: %.100v", err, x.Results[1])
	}
}

func TestRuntimePreloadSharesNoRandomState(t *testing.T) {
	t.Parallel()
	s := startServer(t, dataScience.flag(t), "--preload="+dataScience.name+"=numpy")
	a := s.register(t)
	seen := map[string]bool{}
	for range 5 {
		x := a.execute(t, object{"runtime": dataScience.name, "code": "import numpy, random\nprint(numpy.random.random(), random.random(), hash('x'))"}).ends(t, "succeeded")
		for _, number := range strings.Fields(x.Stdout) {
			if seen[number] {
				t.Errorf("%s occurs twice", number)
			}
			seen[number] = true
		}
	}
}

func TestRuntimeRunsNodeImage(t *testing.T) {
	t.Parallel()
	root := unpackOnHost(t, must(plainDebian.tar())(t))
	node := must(os.ReadFile(nodeBinary(t)))(t)
	if err := os.WriteFile(filepath.Join(root, "usr/bin/node"), node, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, "--node=off", "--runtime=both="+root)
	a := s.register(t)
	in := func(language, code string) *execution {
		t.Helper()
		return a.execute(t, object{"runtime": "both", "language": language, "code": code})
	}
	in("javascript", "console.log(process.execPath, 6 * 7)").prints(t, "/usr/bin/node 42\n")
	in("typescript", "const x: number = 42; console.log(x)").prints(t, "42\n")
	in("python", "print(42)").prints(t, "42\n")
	if x := in("javascript", "throw new TypeError('no')").ends(t, "failed"); x.Error == nil || x.Error.Name != "TypeError" {
		t.Errorf("got %v", x)
	}
	s.call(t, a, "POST", "/api/v1/sessions", object{"language": "javascript", "runtime": "both"}).refused(t, 400, "invalid_request")
	a.openSession(t, object{"runtime": "both"}).runCode(t, "print(42)").prints(t, "42\n")
	s.call(t, a, "POST", "/api/v1/execute", object{"language": "javascript", "code": "1"}).refused(t, 503, "runtime_unavailable")
}

func TestServeRefusesInvalidRuntimes(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"no interpreter":                {[]string{"--runtime=x=" + empty}, "it contains neither Python 3 nor Node"},
		"no such file":                  {[]string{"--runtime=x=" + empty + "/none"}, "no such file"},
		"a file that is not a tar file": {[]string{"--runtime=x=/etc/passwd"}, "not a tar file"},
		"a name that is taken":          {[]string{"--runtime=python=" + empty}, "cannot be the name"},
		"a missing module":              {[]string{plainDebian.flag(t), "--preload=debian=numpy"}, "No module named 'numpy'"},
		"modules of a missing runtime":  {[]string{"--preload=x=numpy"}, "--preload x: there is no --runtime with this name"},
		"code instead of modules":       {[]string{plainDebian.flag(t), "--preload=debian=os x"}, "is not a list of modules"},
		"a path instead of a name":      {[]string{"--runtime=../x=" + empty}, "cannot be the name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"serve", "--node=off", "--addr=127.0.0.1:0", "--data-dir=" + newDataDir(t)}, c.flags...)
			out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("the command ended with %v: %s", err, out)
			}
		})
	}
}
