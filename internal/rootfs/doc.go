// Package rootfs makes the root file system of sandboxes: one read-only EROFS
// image with the embedded Python and its compiled standard library, Node where
// there is one, the guest agent, the C library and the usual command line tools of this machine, root
// certificates, time zones and the places that sandboxes mount on.
//
// It promises that the same inputs give the same bytes, that the image holds
// nothing of this machine but the programs and libraries named here (no
// account, host name, setting or key), that all in it belongs to root and
// nothing is setuid, and that an image once made is found again quickly and
// made anew when it is damaged.
package rootfs
