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

// These environment variables contain secrets: keys, a token, and the URL of the
// database. The value of a variable is the secret itself, or "fd:" and the number of a
// file descriptor. In the second case, the program reads the secret from this file
// descriptor.
const (
	rootKeyVariable      = settingPrefix + "ROOT_KEY"
	databaseVariable     = settingPrefix + "DATABASE"
	joinTokenVariable    = settingPrefix + "JOIN_TOKEN"
	anthropicKeyVariable = "ANTHROPIC_API_KEY"
	apiKeyVariable       = settingPrefix + "API_KEY"
)

// serverSecrets returns the names of the variables that contain secrets of a server or
// worker.
func serverSecrets() []string {
	return []string{rootKeyVariable, databaseVariable, joinTokenVariable, anthropicKeyVariable}
}

const descriptorPrefix = "fd:"

func hiddenVariables() []string {
	return append(serverSecrets(), apiKeyVariable)
}

// hideSettings moves secrets from environment variables to anonymous memory, because
// other processes of the same user can read the environment. Then it executes this
// program again, so that the new environment contains no secrets.
func hideSettings() error {
	environ := os.Environ()
	moved := false
	for _, name := range hiddenVariables() {
		value, given := os.LookupEnv(name)
		if number, ok := strings.CutPrefix(value, descriptorPrefix); ok {
			if fd, err := strconv.Atoi(number); err != nil || fd < 3 {
				return fmt.Errorf("%s must be a key, or %s followed by the number of a file descriptor", name, descriptorPrefix)
			}
			continue
		}
		if !given {
			continue
		}
		fd, err := anonymousFile(value)
		if err != nil {
			return err
		}
		environ = slices.DeleteFunc(environ, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		environ = append(environ, name+"="+descriptorPrefix+strconv.Itoa(fd))
		moved = true
	}
	if moved {
		return syscall.Exec("/proc/self/exe", os.Args, environ)
	}
	// Child processes must not inherit the file descriptors that contain secrets.
	for _, name := range hiddenVariables() {
		if fd, given := hiddenDescriptor(name); given {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
				return fmt.Errorf("%s: descriptor %d: %w", name, fd, err)
			}
		}
	}
	return nil
}

// anonymousFile writes the value to a new anonymous file in memory and returns the file
// descriptor.
func anonymousFile(value string) (int, error) {
	fd, err := unix.MemfdCreate("", 0)
	if err != nil {
		return 0, err
	}
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return 0, err
	}
	_, err = unix.Seek(fd, 0, io.SeekStart)
	return fd, err
}

// hiddenDescriptor returns the number of a file descriptor. It reads this number from
// the named environment variable. It returns false if the variable contains no such
// number.
func hiddenDescriptor(name string) (int, bool) {
	number, given := strings.CutPrefix(os.Getenv(name), descriptorPrefix)
	fd, err := strconv.Atoi(number)
	return fd, given && err == nil
}

// passHidden passes secrets to a child process. It returns the files that contain the
// secrets, for the field exec.Cmd.ExtraFiles. In the child process, the file
// descriptors of these files start at 3. So passHidden writes these new numbers to the
// environment variables.
func passHidden() ([]*os.File, error) {
	var files []*os.File
	for _, name := range hiddenVariables() {
		fd, given := hiddenDescriptor(name)
		if !given {
			continue
		}
		if err := os.Setenv(name, descriptorPrefix+strconv.Itoa(3+len(files))); err != nil {
			return nil, err
		}
		files = append(files, os.NewFile(uintptr(fd), name))
	}
	return files, nil
}

// maxHiddenSetting is the maximum length of a secret, in bytes.
const maxHiddenSetting = 4 << 10

// hiddenSetting returns the secret that belongs to an environment variable. The
// variable contains the number of a file descriptor. hiddenSetting reads the secret
// from this descriptor and closes the descriptor, so a second call fails. The result
// "given" is false if the variable is not set.
func hiddenSetting(name string) (setting []byte, given bool, err error) {
	fd, given := hiddenDescriptor(name)
	if !given {
		return nil, false, nil
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	setting, err = io.ReadAll(io.LimitReader(f, maxHiddenSetting))
	if err != nil {
		return nil, true, fmt.Errorf("read %s: %w", name, err)
	}
	return setting, true, nil
}
