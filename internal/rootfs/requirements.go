package rootfs

// requiredLibrary describes a library that Python or wheels need.
type requiredLibrary struct{ name, debianPackage string }

// requiredLibraries returns the libraries that the embedded Python needs. It also
// returns the libraries that Python packages in binary form (wheels) may expect on
// every machine (PEP 600).
func requiredLibraries() []requiredLibrary {
	return []requiredLibrary{
		{"libc.so.6", "libc6"},
		{"libm.so.6", "libc6"},
		{"libdl.so.2", "libc6"},
		{"libpthread.so.0", "libc6"},
		{"librt.so.1", "libc6"},
		{"libutil.so.1", "libc6"},
		{"libgcc_s.so.1", "libgcc-s1"},
		{"libstdc++.so.6", "libstdc++6"},
	}
}

// optionalLibraries returns the libraries that only some wheels expect.
func optionalLibraries() []string {
	return []string{
		"libanl.so.1", "libatomic.so.1", "libcrypt.so.1", "libexpat.so.1",
		"libmvec.so.1", "libnsl.so.1", "libnss_files.so.2", "libresolv.so.2", "libz.so.1",
	}
}

// The function "tools" returns programs that Python code often calls.
func tools() []string {
	return []string{
		"[", "awk", "base64", "basename", "bash", "cat", "chmod", "clear", "cmp", "comm", "cp",
		"cut", "date", "dd", "df", "diff", "dirname", "du", "echo", "egrep", "env", "expr",
		"false", "fgrep", "find", "free", "getent", "grep", "gunzip", "gzip", "head", "hostname", "id",
		"kill", "ln", "ls", "md5sum", "mkdir", "mktemp", "mv", "nl", "nproc", "od", "paste",
		"pgrep", "pkill", "printf", "ps", "pwd", "readlink", "realpath", "rev", "rm", "rmdir", "sed", "seq",
		"sha1sum", "sha256sum", "sha512sum", "sleep", "sort", "split", "stat", "tac", "tail",
		"tar", "tee", "test", "timeout", "touch", "tr", "true", "tty", "uname", "uniq", "wc",
		"which", "whoami", "xargs", "yes", "zcat",
	}
}

// terminals returns the names of the terminals for which the image contains a
// description.
func terminals() []string {
	return []string{"dumb", "linux", "screen", "vt100", "xterm", "xterm-256color"}
}
