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

// Environment variables with secrets: the root key, the URL of the database, the
// joining token, the API key for the model, and the API key for a Pyth-On server. The value is either the secret itself, or "fd:"
// and the number of a file descriptor. The secret can be read from this descriptor.
const (
	rootKeyVariable      = settingPrefix + "ROOT_KEY"
	databaseVariable     = settingPrefix + "DATABASE"
	joinTokenVariable    = settingPrefix + "JOIN_TOKEN"
	anthropicKeyVariable = "ANTHROPIC_API_KEY"
	apiKeyVariable       = settingPrefix + "API_KEY"
)

// serverSecrets returns the variables with secrets of a server or worker.
func serverSecrets() []string {
	return []string{rootKeyVariable, databaseVariable, joinTokenVariable, anthropicKeyVariable}
}

const descriptorPrefix = "fd:"

func hiddenVariables() []string {
	return append(serverSecrets(), apiKeyVariable)
}

// hideSettings moves secrets from the environment, which all processes of this user
// can read, to anonymous memory. Then it executes this program again.
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
	// Child processes must not inherit the descriptors.
	for _, name := range hiddenVariables() {
		if fd, given := hiddenDescriptor(name); given {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
				return fmt.Errorf("%s: descriptor %d: %w", name, fd, err)
			}
		}
	}
	return nil
}

// anonymousFile writes the value to a new file in memory and returns its descriptor.
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

// hiddenDescriptor returns the descriptor for the secret in a variable. It returns
// false if the variable does not name a descriptor.
func hiddenDescriptor(name string) (int, bool) {
	number, given := strings.CutPrefix(os.Getenv(name), descriptorPrefix)
	fd, err := strconv.Atoi(number)
	return fd, given && err == nil
}

// passHidden returns the files with secrets, for exec.Cmd.ExtraFiles. In the child
// process, the descriptors of these files start at 3. passHidden sets the
// environment variables to these descriptors.
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

// hiddenSetting returns the secret of a variable. It reads the secret from the file
// descriptor whose number the variable contains, and closes this descriptor. So a second
// call fails. The result "given" is false if the variable is not set.
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
