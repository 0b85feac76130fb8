// Package erofs writes trees (package tree) as EROFS images: read-only file systems
// in one file.
//
// The same tree makes the same bytes. All files belong to root, and none is
// setuid or setgid. The image is written sequentially in one pass.
//
// The package uses the simplest form of the format, which every reader supports:
// blocks of 4096 bytes, compact inodes, and separate blocks for the data of each
// file, directory and symbolic link. Inline tails, compression and extended
// attributes are not used.
//
// The format: https://docs.kernel.org/filesystems/erofs.html and
// https://erofs.docs.kernel.org/en/latest/core_ondisk.html.
package erofs
