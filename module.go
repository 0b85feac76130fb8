package pyth

import (
	"regexp"
	"strings"
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
		"attr": "attrs", "bs4": "beautifulsoup4", "Bio": "biopython", "cairo": "pycairo", "Crypto": "pycryptodome", "cv2": "opencv-python",
		"dateutil": "python-dateutil", "discord": "discord.py", "docx": "python-docx", "dotenv": "python-dotenv", "faiss": "faiss-cpu",
		"fitz": "pymupdf", "git": "gitpython", "grpc": "grpcio", "jose": "python-jose", "jwt": "pyjwt", "Levenshtein": "levenshtein",
		"magic": "python-magic", "mpl_toolkits": "matplotlib", "MySQLdb": "mysqlclient", "nacl": "pynacl", "OpenSSL": "pyopenssl",
		"PIL": "pillow", "pkg_resources": "setuptools", "pptx": "python-pptx", "psycopg2": "psycopg2-binary", "serial": "pyserial",
		"skimage": "scikit-image", "sklearn": "scikit-learn", "slugify": "python-slugify", "socks": "pysocks", "telegram": "python-telegram-bot",
		"umap": "umap-learn", "usb": "pyusb", "websocket": "websocket-client", "yaml": "pyyaml", "zmq": "pyzmq",
	}
}

// MissingModule returns the module that a program could not find, by the error
// that ended it; in Node the package that the module is of. It is "" for every
// other error. What a program says can be anything.
func MissingModule(language Language, e *ProgramError) string {
	if e == nil {
		return ""
	}
	said := cannotFind
	if language.Runtime() == PythonRuntime {
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

// PackageOf returns the name by which the module is installed.
func PackageOf(language Language, module string) string {
	if language.Runtime() != PythonRuntime {
		return module
	}
	if name, ok := distributions()[module]; ok {
		return name
	}
	return strings.ReplaceAll(module, "_", "-")
}
