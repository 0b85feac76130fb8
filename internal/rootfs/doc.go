// Package rootfs makes the root file system of sandboxes as a read-only EROFS image.
//
// The image contains Python with a compiled standard library. It contains Node if this
// machine has a Node binary. It also contains the guest agent, which is the process that
// starts interpreters. The C library and common command line tools come from this
// machine. The image also has root certificates, time zones and mount points.
//
// The same inputs always give the same bytes. The image contains only selected programs
// and libraries of this machine. It contains no account, host name, setting or key of
// this machine. All files belong to root, and no file is setuid. Build finds an existing
// image quickly, and makes a damaged image again.
package rootfs
