// Package erofs writes trees (package tree) as EROFS images: read-only file systems in
// one file.
//
// The same tree always gives the same bytes. All files belong to root, and none is
// setuid or setgid. The image is written from start to end in one pass.
//
// The package uses only the simplest form of the format, which every reader supports:
// blocks of 4096 bytes, compact inodes, and separate data blocks for each file,
// directory and symbolic link. It does not use inline tails, compression or extended
// attributes.
//
// The format is described in https://docs.kernel.org/filesystems/erofs.html and
// https://erofs.docs.kernel.org/en/latest/core_ondisk.html.
package erofs
