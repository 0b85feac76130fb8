// Package erofs writes EROFS images: read-only file systems in one file.
//
// It promises that the same tree gives the same bytes, that everything belongs
// to root, that nothing is setuid or setgid, and that the image is written in
// one pass from its first byte to its last. It writes the plainest form of the
// format, which every reader understands: blocks of 4096 bytes, compact
// inodes, and the data of each file, directory and symbolic link in whole
// blocks of its own (no inline tails, no compression, no extended attributes).
//
// The format: https://docs.kernel.org/filesystems/erofs.html and
// https://erofs.docs.kernel.org/en/latest/core_ondisk.html.
package erofs
