package protocol

import (
	"errors"

	"golang.org/x/sys/unix"
)

// FailureOf returns the name of an error for the field Failure of a message, for example
// ENOENT. It returns "" for nil, and EIO for an error that is not an error of Linux.
func FailureOf(err error) string {
	if err == nil {
		return ""
	}
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return unix.ErrnoName(errno)
	}
	return "EIO"
}
