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
	message := w.hide(e.Message)
	if w.result.Language.Runtime() == pyth.NodeRuntime {
		if found := cannotFind.FindStringSubmatch(message); found != nil {
			return found[1]
		}
		return ""
	}
	found := noModule.FindStringSubmatch(message)
	if e.Name != "ModuleNotFoundError" || found == nil {
		return ""
	}
	if name, ok := distributions()[found[1]]; ok {
		return name
	}
	return strings.ReplaceAll(found[1], "_", "-")
}
