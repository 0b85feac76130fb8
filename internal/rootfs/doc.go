// Package rootfs makes the root file system of sandboxes, a read-only EROFS image.
//
// The image contains Python with a compiled standard library, Node if this machine has
// a Node binary, and the guest agent (the process that starts interpreters). The C
// library and common command line tools come from this machine. The image also has root
// certificates, time zones and mount points.
//
// The same inputs always give the same bytes. From this machine, only selected programs
// and libraries get into the image: no account, host name, setting or key.
// All files belong to root, and none is setuid. Build finds an existing image quickly,
// and makes a damaged image again.
package rootfs
