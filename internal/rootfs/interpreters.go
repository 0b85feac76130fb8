package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

//go:embed compile.py
var compileProgram string

// interpreter describes an interpreter that a custom image can contain.
type interpreter struct {
	runtime pyth.Runtime
	// The field "title" is the name that operators see. The field "program" is the file
	// name.
	title, program string
	// The function "examine" runs the interpreter in a sandbox with the given image. It
	// stores the version of the interpreter.
	examine func(r *customBuilder, ctx context.Context, image string) error
}

// The function "interpreters" returns the interpreters that a custom image can contain.
func interpreters() []interpreter {
	return []interpreter{
		{pyth.PythonRuntime, "Python 3", "python3", (*customBuilder).compile},
		{pyth.NodeRuntime, "Node", "node", (*customBuilder).examineNode},
	}
}

// findInterpreters searches for interpreters in the directories where images usually have
// them. If an interpreter is in a directory that the guest agent does not search,
// findInterpreters adds a link in /usr/local/bin.
func findInterpreters(t *tree.Tree) ([]interpreter, error) {
	var found []interpreter
	var titles []string
	var why error
	for _, i := range interpreters() {
		titles = append(titles, i.title)
		at, err := findInterpreter(t, i.program)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && at != "usr/local/bin/"+i.program && at != "usr/bin/"+i.program {
			err = t.Link("usr/local/bin/"+i.program, "/"+at)
		}
		if err == nil {
			found = append(found, i)
		}
		why = errors.Join(why, err)
	}
	if len(found) == 0 {
		none := fmt.Errorf("it contains neither %s in /usr/local/bin, /usr/bin, /bin or /opt/conda/bin", strings.Join(titles, " nor "))
		return nil, errors.Join(none, why)
	}
	return found, nil
}

// findInterpreter returns the path of a program, such as python3. In each directory, it
// also accepts a name with a minor version, such as python3.14. It prefers the highest
// version.
func findInterpreter(t *tree.Tree, name string) (string, error) {
	var why error
	for _, dir := range []string{"usr/local/bin", "usr/bin", "bin", "opt/conda/bin"} {
		names := []string{name}
		minor := func(s string) int {
			n, err := strconv.Atoi(strings.TrimPrefix(s, name+"."))
			if err != nil || !strings.HasPrefix(s, name+".") {
				return -1
			}
			return n
		}
		versions := slices.DeleteFunc(t.Names(dir), func(s string) bool { return minor(s) < 0 })
		slices.SortFunc(versions, func(a, b string) int { return minor(b) - minor(a) })
		for _, n := range append(names, versions...) {
			err := checkProgram(t, path.Join(dir, n))
			if err == nil {
				return path.Join(dir, n), nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				why = err
			}
		}
	}
	if why != nil {
		return "", why
	}
	return "", fs.ErrNotExist
}

// checkProgram returns an error if the file is not a program for x86-64.
func checkProgram(t *tree.Tree, at string) error {
	e, err := t.Stat(at)
	if err != nil {
		return err
	}
	if !e.Mode.IsRegular() || e.Mode.Perm()&0o001 == 0 {
		return fmt.Errorf("%s must be executable by all users", at)
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	head := make([]byte, 64)
	if _, err := io.ReadFull(r, head); err != nil {
		return fmt.Errorf("%s is not a program: %w", at, err)
	}
	machine := elf.Machine(uint16(head[18]) | uint16(head[19])<<8)
	if !bytes.HasPrefix(head, []byte(elf.ELFMAG)) || elf.Class(head[4]) != elf.ELFCLASS64 || machine != elf.EM_X86_64 {
		return fmt.Errorf("%s is not a program for x86-64", at)
	}
	return nil
}

// Limits for the compiled files that a sandbox returns. They limit the number of files,
// the size of one file, and the size of all files, in bytes.
const (
	maxCompiled     = 500_000
	maxCompiledFile = 64 << 20
	maxCompiledAll  = 4 << 30
)

// compile runs Python in a sandbox with the given image. Python compiles all its modules.
// Then compile adds the compiled files to the tree.
func (r *customBuilder) compile(ctx context.Context, image string) error {
	sources, err := moduleSources()
	if err != nil {
		return err
	}
	const step = "Compiling the modules of the image's Python"
	r.Progress(step, 0, 1)
	err = r.try(ctx, Trial{
		Image: image, Language: pyth.Python, Program: []byte(compileProgram), Files: sources, Large: true,
		Output: "compiled.tar.gz", Read: func(out io.Reader) error { return r.addCompiled(out, sources) },
	})
	if err != nil {
		return fmt.Errorf("the Python in the image does not work; use version 3.9 to 3.14 with its standard library: %w", err)
	}
	r.Progress(step, 1, 1)
	return nil
}

// addCompiled adds the compiled files in an archive to the tree. The archive
// comes from a sandbox and is not trusted. At the end, addCompiled calls
// addModules.
func (r *customBuilder) addCompiled(out io.Reader, sources map[string][]byte) error {
	unpacked, err := gzip.NewReader(out)
	if err != nil {
		return err
	}
	archive := tar.NewReader(io.LimitReader(unpacked, maxCompiledAll))
	packages := ""
	for n := 0; n < maxCompiled; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return r.addModules(packages, sources)
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || h.Size > maxCompiledFile {
			return fmt.Errorf("it returned %q", h.Name)
		}
		if n == 0 {
			if packages, err = r.readInfo(h.Name, archive); err != nil {
				return err
			}
			continue
		}
		dir, name := path.Split(h.Name)
		if path.Base(dir) != "__pycache__" || !strings.HasSuffix(name, ".pyc") || reserved(h.Name) && path.Dir(path.Clean(dir)) != hookDir() {
			return fmt.Errorf("it returned %q", h.Name)
		}
		if err := r.tree.Spool(h.Name, 0o644, archive); err != nil {
			return err
		}
	}
	return fmt.Errorf("it returned more than %d files", maxCompiled)
}

// The function "reserved" reports whether the path is below a directory that belongs to
// Pyth-On. Sandboxes mount file systems in such a directory, or Pyth-On adds files to it.
func reserved(name string) bool {
	top, _, _ := strings.Cut(strings.TrimLeft(path.Clean("/"+name), "/"), "/")
	return slices.Contains([]string{"pyth-on", "dev", "proc", "run", "sys", "tmp", "work", "mnt", "home", "root"}, top)
}

// readInfo reads the file info.json. It stores the version of Python and returns the
// directory for Python packages.
func (r *customBuilder) readInfo(name string, content io.Reader) (packages string, err error) {
	var info struct{ Version, Packages string }
	if err := json.NewDecoder(io.LimitReader(content, 1<<16)).Decode(&info); err != nil {
		return "", fmt.Errorf("it returned %q: %w", name, err)
	}
	if !isVersion(info.Version) || !path.IsAbs(info.Packages) || reserved(info.Packages) {
		return "", fmt.Errorf("it returned version %q and packages at %q", info.Version, info.Packages)
	}
	r.versions[pyth.PythonRuntime] = info.Version
	return info.Packages, nil
}

// addModules adds Pyth-On's Python modules to the tree. The parameter "packages" is the
// path of the directory for these modules.
func (r *customBuilder) addModules(packages string, sources map[string][]byte) error {
	for name, source := range sources {
		if at, own := strings.CutPrefix(name, ownDir+"/"); own {
			if err := r.tree.File(path.Join(packages, at), 0o644, source); err != nil {
				return err
			}
		}
	}
	return nil
}

// isVersion reports whether s is a version such as "3.11.2".
func isVersion(s string) bool {
	return regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,4}){1,3}$`).MatchString(s)
}

// examineNode runs Node in a sandbox with the given image. It stores the version of Node.
func (r *customBuilder) examineNode(ctx context.Context, image string) error {
	const program = `require("fs").writeFileSync("version", process.versions.node)`
	err := r.try(ctx, Trial{
		Image: image, Language: pyth.JavaScript, Program: []byte(program), Output: "version",
		Read: func(out io.Reader) error {
			b, err := io.ReadAll(io.LimitReader(out, 64))
			if err == nil && !isVersion(string(b)) {
				err = fmt.Errorf("it returned version %q", b)
			}
			r.versions[pyth.NodeRuntime] = string(b)
			return err
		},
	})
	if err != nil {
		return fmt.Errorf("the Node in the image does not work; use version 24: %w", err)
	}
	return nil
}
