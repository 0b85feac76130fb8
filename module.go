package pyth

import (
	"regexp"
	"strings"
)

// importError describes how a runtime reports a missing module.
type importError struct {
	// name is the name of the exception. If it is "", every exception matches.
	name string
	// The pattern "message" matches the message of the exception. The first group
	// captures the module name.
	message *regexp.Regexp
}

var importErrors = map[Runtime]importError{
	PythonRuntime: {"ModuleNotFoundError", regexp.MustCompile(`^No module named '([A-Za-z0-9_]+)`)},
	// Node writes the word "module" for files and for require. It writes "package" for
	// imported packages.
	NodeRuntime: {"", regexp.MustCompile(`^Cannot find (?:module|package) '((?:@[A-Za-z0-9._-]+/)?[A-Za-z0-9_-][A-Za-z0-9._-]*)(?:/[^']*)?'`)},
}

// distributions maps names of Python modules to names of packages. It contains widely
// used modules whose package has a different name.
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

// MissingModule returns the name of the missing module if the error is an import error.
// It returns "" for other errors. For Node it returns the name of the package that
// contains the module. The program can forge the error, so the name may be wrong.
func MissingModule(language Language, e *ProgramError) string {
	expected := importErrors[language.Runtime()]
	if e == nil || expected.message == nil || expected.name != "" && e.Name != expected.name {
		return ""
	}
	found := expected.message.FindStringSubmatch(e.Message)
	if found == nil {
		return ""
	}
	return found[1]
}

// PackageOf returns the name of the package that contains the module.
func PackageOf(language Language, module string) string {
	if language.Runtime() != PythonRuntime {
		return module
	}
	if name, ok := distributions()[module]; ok {
		return name
	}
	return strings.ReplaceAll(module, "_", "-")
}
