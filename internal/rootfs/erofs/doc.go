// Package erofs writes trees (package tree) as EROFS images. An EROFS image is a
// read-only file system in one file.
//
// The same tree always gives the same bytes. All files belong to root, and no file is
// setuid or setgid. The package writes the image from start to end in one pass.
//
// The package uses only the simplest form of the format, which every reader supports. In
// this form, blocks have 4096 bytes and inodes are compact. Each file, directory and
// symbolic link has separate data blocks. The package does not use inline tails,
// compression or extended attributes.
//
// These pages describe the format: https://docs.kernel.org/filesystems/erofs.html and
// https://erofs.docs.kernel.org/en/latest/core_ondisk.html.
package erofs
