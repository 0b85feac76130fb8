package generate

import (
	"regexp"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

var (
	noModule = regexp.MustCompile(`^No module named '([A-Za-z0-9_]+)`)
	// Node says the first for import and require of a module, the second for an
	// import of a package.
	cannotFind = regexp.MustCompile(`^Cannot find (?:module|package) '((?:@[A-Za-z0-9._-]+/)?[A-Za-z0-9_-][A-Za-z0-9._-]*)(?:/[^']*)?'`)
)

// distributions are packages whose modules have other names, of those that are
// used most.
func distributions() map[string]string {
	return map[string]string{
		"attr": "attrs", "bs4": "beautifulsoup4", "Crypto": "pycryptodome", "cv2": "opencv-python", "dateutil": "python-dateutil",
		"docx": "python-docx", "dotenv": "python-dotenv", "fitz": "pymupdf", "git": "gitpython", "jwt": "pyjwt", "magic": "python-magic",
		"MySQLdb": "mysqlclient", "OpenSSL": "pyopenssl", "PIL": "pillow", "pptx": "python-pptx", "psycopg2": "psycopg2-binary",
		"serial": "pyserial", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml", "zmq": "pyzmq",
	}
}

// missingPackage is the package that a program lacks by what it failed with; "" if
// it is none.
func (w *work) missingPackage(e *pyth.ProgramError) string {
	if e == nil {
		return ""
	}
	name := moduleOf(w.result.Language, e)
	if w.result.Language.Runtime() == pyth.PythonRuntime {
		name = distributionOf(name)
	}
	// What a program says can be anything.
	if w.hide(e.Message) != e.Message || w.hide(name) != name {
		return ""
	}
	return name
}

// moduleOf is the module that could not be found; of Node's the package.
func moduleOf(language pyth.Language, e *pyth.ProgramError) string {
	said := cannotFind
	if language.Runtime() == pyth.PythonRuntime {
		said = noModule
		if e.Name != "ModuleNotFoundError" {
			return ""
		}
	}
	found := said.FindStringSubmatch(e.Message)
	if found == nil {
		return ""
	}
	return found[1]
}

// distributionOf is the name by which a module of Python's is installed.
func distributionOf(module string) string {
	if name, ok := distributions()[module]; ok {
		return name
	}
	return strings.ReplaceAll(module, "_", "-")
}
