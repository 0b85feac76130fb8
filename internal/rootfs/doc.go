// Package rootfs makes the root file system of sandboxes. It is a read-only EROFS
// image with the embedded Python and its compiled standard library, Node if there
// is one, and the guest agent. The C library and the usual command line tools come
// from this machine. The image also has root certificates, time zones and mount
// points.
//
// The same inputs make the same bytes. The image has nothing of this machine
// except the programs and libraries named here: no account, host name, setting or
// key. All files belong to root, and none is setuid. An existing image is found
// quickly, and made again if it is damaged.
package rootfs
