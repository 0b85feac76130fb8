package pyth

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Language is the programming language of a program.
type Language string

// Supported languages. Python is the default.
const (
	Python     Language = "python"
	JavaScript Language = "javascript"
	TypeScript Language = "typescript"
	Bash       Language = "bash"
)

// Runtime is the name of an interpreter with its libraries. It is a built-in runtime,
// or a custom image that the operator added. One runtime can run several languages.
type Runtime string

// Built-in runtimes.
const (
	PythonRuntime Runtime = "python"
	NodeRuntime   Runtime = "node"
)

// runtimes is the table of the built-in runtimes. Lists in the API have the same order
// as this table. The first language in the table is the default. To add a runtime, add
// an entry here, an interpreter in internal/sandbox/guest/agent, and the interpreter's
// files to the built-in image.
var runtimes = [...]runtimeEntry{
	{PythonRuntime, "Python", "/opt/pyth-on/python-packages", []languageEntry{
		{Python, "main.py", nil},
		// Bash needs no separate runtime, because each sandbox can run it. It belongs to
		// the runtime of Python, because most servers have more warm sandboxes for Python
		// than for Node.
		{Bash, "main.sh", []string{".bash"}},
	}},
	// Node searches all parent directories for node_modules, so it finds /node_modules
	// from any directory.
	{NodeRuntime, "Node", "/node_modules", []languageEntry{
		{JavaScript, "main.js", []string{".mjs", ".cjs"}}, {TypeScript, "main.ts", []string{".mts", ".cts"}},
	}},
}

// runtimeEntry describes a built-in runtime.
type runtimeEntry struct {
	name  Runtime
	title string
	// layer is the path in sandboxes at which the layer with packages is mounted.
	layer string
	// languages contains the languages that the runtime runs. The first one is the main
	// language.
	languages []languageEntry
}

// languageEntry describes a language.
type languageEntry struct {
	name Language
	// file is the file name of a program in the working directory. The field
	// "extensions" lists other file extensions of the language.
	file       string
	extensions []string
}

// index returns the position of a built-in runtime in the table "runtimes". It returns
// -1 for a custom image.
func (r Runtime) index() int {
	return slices.IndexFunc(runtimes[:], func(e runtimeEntry) bool { return e.name == r })
}

// entry returns the table entries of a language and of its runtime. For an unknown
// language, it returns the entries of the default language.
func (l Language) entry() (*runtimeEntry, *languageEntry) {
	for i := range runtimes {
		for j := range runtimes[i].languages {
			if runtimes[i].languages[j].name == l {
				return &runtimes[i], &runtimes[i].languages[j]
			}
		}
	}
	return &runtimes[0], &runtimes[0].languages[0]
}

// Runtimes returns all built-in runtimes. Python is the first.
func Runtimes() []Runtime {
	all := make([]Runtime, len(runtimes))
	for i := range runtimes {
		all[i] = runtimes[i].name
	}
	return all
}

// BuiltIn reports whether the runtime is built in. All other runtimes are custom
// images.
func (r Runtime) BuiltIn() bool { return r.index() >= 0 }

// Title returns the name of the runtime that users see, for example "Node".
func (r Runtime) Title() string {
	if i := r.index(); i >= 0 {
		return runtimes[i].title
	}
	return string(r)
}

// LayerPath returns the path in sandboxes at which the layer with packages is mounted.
// It returns "" for a custom image.
func (r Runtime) LayerPath() string {
	if i := r.index(); i >= 0 {
		return runtimes[i].layer
	}
	return ""
}

// Languages returns the languages of a built-in runtime. The first one is the main
// language. A warm interpreter (one that starts before its first job) starts for the
// main language. The API lists packages under the main language.
func (r Runtime) Languages() []Language {
	i := r.index()
	if i < 0 {
		return nil
	}
	all := make([]Language, len(runtimes[i].languages))
	for j, l := range runtimes[i].languages {
		all[j] = l.name
	}
	return all
}

// Languages returns all languages. The default language is the first.
func Languages() []Language {
	var all []Language
	for i := range runtimes {
		all = append(all, runtimes[i].name.Languages()...)
	}
	return all
}

// AnyOfLanguages returns a list of all languages for an error message, in the form "a",
// "b" or "c".
func AnyOfLanguages() string {
	all := Languages()
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = fmt.Sprintf("%q", l)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// LanguageOf returns the language to which the extension of the file belongs. It returns
// "" if the extension is unknown.
func LanguageOf(file string) Language {
	extension := path.Ext(file)
	if extension == "" {
		return ""
	}
	for _, l := range Languages() {
		_, e := l.entry()
		if extension == path.Ext(e.file) || slices.Contains(e.extensions, extension) {
			return l
		}
	}
	return ""
}

// Known reports whether the language is in the result of the function Languages. A server
// may offer only some of the known languages.
func (l Language) Known() bool {
	_, e := l.entry()
	return e.name == l
}

// Main returns the main language of the runtime that runs the language. For an unknown
// language, it returns the language itself.
func (l Language) Main() Language {
	if r, e := l.entry(); e.name == l {
		return r.languages[0].name
	}
	return l
}

// Runtime returns the built-in runtime that runs the language.
func (l Language) Runtime() Runtime {
	r, _ := l.entry()
	return r.name
}

// File returns the file name of a program in the working directory, for example
// "main.py".
func (l Language) File() string {
	_, e := l.entry()
	return e.file
}
