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

// The function "tools" returns the commands that programs expect in a Linux system.
func tools() []string {
	return []string{
		"[", "awk", "base64", "basename", "bash", "bunzip2", "bzip2", "cat", "chmod", "clear", "cmp", "column", "comm", "cp",
		"curl", "cut", "date", "dd", "df", "diff", "dirname", "du", "echo", "egrep", "env", "expand", "expr",
		"false", "fgrep", "find", "flock", "fold", "free", "getent", "git", "grep", "groups", "gunzip", "gzip", "head", "hexdump",
		"hostname", "id", "install", "join", "jq", "kill", "less", "ln", "ls", "md5sum", "mkdir", "mkfifo", "mktemp", "more", "mv",
		"nice", "nl", "nohup", "nproc", "numfmt", "od", "paste", "pgrep", "pkill", "pmap", "printenv", "printf", "ps", "pwd", "pwdx",
		"readlink", "realpath", "rev", "rm", "rmdir", "sed", "seq", "setsid",
		"sha1sum", "sha256sum", "sha512sum", "shuf", "sleep", "sort", "split", "stat", "stty", "tac", "tail",
		"tar", "tee", "test", "timeout", "top", "touch", "tput", "tr", "true", "truncate", "tty", "uname", "unexpand", "uniq", "uptime",
		"vmstat", "watch", "wc", "which", "whoami", "xargs", "xz", "yes", "zcat",
	}
}

// extraTools returns commands that the image contains if this machine has them. Nobody
// expects them in every Linux system, so they are not reported as missing.
func extraTools() []string {
	return []string{"bc", "make", "nano", "patch", "rg", "rsync", "sqlite3", "strings", "tree", "unzip", "vi", "vim", "wget", "xxd", "zip", "zstd"}
}

// terminals returns the names of the terminals for which the image contains a
// description.
func terminals() []string {
	return []string{"dumb", "linux", "screen", "vt100", "xterm", "xterm-256color"}
}
