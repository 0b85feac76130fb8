package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// rootKeyVariable is the environment variable of the root key. Its value is the
// key, or fd: and the number of a descriptor to read it from.
const rootKeyVariable = settingPrefix + "ROOT_KEY"

const descriptorPrefix = "fd:"

// hideRootKey moves the root key out of the environment, which every process of
// this user can read as long as this one lives, by running the program anew: the
// key goes along in memory that has no name.
func hideRootKey() error {
	value, given := os.LookupEnv(rootKeyVariable)
	if !given {
		return nil
	}
	if number, ok := strings.CutPrefix(value, descriptorPrefix); ok {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 3 {
			return fmt.Errorf("%s must be a key in base64, or %s and the number of a descriptor", rootKeyVariable, descriptorPrefix)
		}
		// What this process starts must not have it.
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
		return err
	}
	fd, err := unix.MemfdCreate("", 0)
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return err
	}
	if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
		return err
	}
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, rootKeyVariable+"=") })
	environ = append(environ, rootKeyVariable+"="+descriptorPrefix+strconv.Itoa(fd))
	return syscall.Exec("/proc/self/exe", os.Args, environ)
}

// rootKeyFile is the descriptor of the root key, if there is one.
func rootKeyFile() (*os.File, bool) {
	number, given := strings.CutPrefix(os.Getenv(rootKeyVariable), descriptorPrefix)
	fd, err := strconv.Atoi(number)
	if !given || err != nil {
		return nil, false
	}
	return os.NewFile(uintptr(fd), "root key"), true
}

// maxRootKeySetting is more than the keys take.
const maxRootKeySetting = 4 << 10

// rootKeySetting reads the setting. It can be read once.
func rootKeySetting() (setting []byte, given bool, err error) {
	f, given := rootKeyFile()
	if !given {
		return nil, false, nil
	}
	defer f.Close()
	setting, err = io.ReadAll(io.LimitReader(f, maxRootKeySetting))
	if err != nil {
		return nil, true, fmt.Errorf("reading %s: %w", rootKeyVariable, err)
	}
	return setting, true, nil
}
