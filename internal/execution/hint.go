package execution

import (
	"regexp"
	"slices"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// maxHintSearch is the number of bytes that a search for network errors examines at
	// the beginning and at the end of each text.
	maxHintSearch = 16 << 10
	// maxModule is the maximum length of a module name in a hint, in bytes.
	maxModule = 128
)

// noNetwork matches two kinds of error messages of Python and Node libraries. One kind
// means that a name cannot be resolved, the other that a host cannot be reached.
var noNetwork = regexp.MustCompile(`gaierror|Name or service not known|Temporary failure in name resolution|NameResolutionError|` +
	`\[Errno 101\]|Network is unreachable|getaddrinfo E[A-Z_]+|ENETUNREACH|EAI_AGAIN|ENOTFOUND`)

func (s *Service) addHint(job *pyth.Job, o *pyth.Outcome) {
	if o.Error != nil {
		o.Error.Hint = s.hint(job, o)
	}
}

// hint returns a text that tells the user how to fix the error. It returns "" if it knows
// no fix. The text can quote a part of the error. So the caller must redact secrets
// before the call.
func (s *Service) hint(job *pyth.Job, o *pyth.Outcome) string {
	e := o.Error
	if e == nil {
		return ""
	}
	if job.Network.None() && lacksNetwork(e, o.Stderr) {
		if s.config.Network == nil {
			return "Programs have no network on this server."
		}
		if job.Session != "" {
			return `This session has no network. Open a session and list the hosts that its programs may connect to: "network": {"allow": ["example.org"]}.`
		}
		return `This run has no network. List the hosts that it may connect to in the request: "network": {"allow": ["example.org"]}.`
	}
	if s.config.Packages == nil || job.Runtime != "" {
		return ""
	}
	module := pyth.MissingModule(job.Language, e)
	if module == "" || len(module) > maxModule || providesModule(job.Files, module) || slices.Contains(strings.Fields(standardLibrary), module) {
		return ""
	}
	body := `"package": "` + pyth.PackageOf(job.Language, module) + `"`
	if job.Language != pyth.Python { // Python is the default, so its hint is shorter.
		body = `"language": "` + string(job.Language) + `", ` + body
	}
	text := "Install the package: POST /api/v1/packages {" + body + "}"
	if job.Session != "" {
		text += ". Then open a new session, because the packages of a session do not change"
	}
	return text + "."
}

func lacksNetwork(e *pyth.ProgramError, stderr []byte) bool {
	for _, text := range []string{e.Name, e.Message, e.Traceback, string(stderr[max(0, len(stderr)-maxHintSearch):])} {
		if noNetwork.MatchString(text[:min(len(text), maxHintSearch)]) || noNetwork.MatchString(text[max(0, len(text)-maxHintSearch):]) {
			return true
		}
	}
	return e.Name == "TypeError" && e.Message == "fetch failed" && !strings.Contains(e.Traceback, "ECONNREFUSED")
}

// providesModule reports whether the user's files contain the module. If they contain it,
// no package is missing.
func providesModule(files []pyth.File, module string) bool {
	return slices.ContainsFunc(files, func(f pyth.File) bool {
		name, _, _ := strings.Cut(f.Path, "/")
		name, _, _ = strings.Cut(name, ".")
		return name == module
	})
}

// standardLibrary contains the modules of Python 3.14 (sys.stdlib_module_names). No
// package can provide one of these modules. JavaScript needs no such list, because Node
// never reports a built-in module as missing.
const standardLibrary = `
	abc annotationlib antigravity argparse array ast asyncio atexit base64 bdb binascii bisect builtins bz2
	cProfile calendar cmath cmd code codecs codeop collections colorsys compileall compression concurrent
	configparser contextlib contextvars copy copyreg csv ctypes curses dataclasses datetime dbm decimal difflib
	dis doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch fractions
	ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http
	idlelib imaplib importlib inspect io ipaddress itertools json keyword linecache locale logging lzma mailbox
	marshal math mimetypes mmap modulefinder msvcrt multiprocessing netrc nt ntpath nturl2path numbers opcode
	operator optparse os pathlib pdb pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint
	profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib
	resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtplib socket
	socketserver sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct
	subprocess symtable sys sysconfig syslog tabnanny tarfile tempfile termios textwrap this threading time
	timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing
	unicodedata unittest urllib uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xml xmlrpc
	zipapp zipfile zipimport zlib zoneinfo
`
