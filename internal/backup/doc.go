// Package backup reads and writes archives with the data of a server.
//
// An archive is a tar file. Its first file is the manifest. The manifest contains the
// size and the hash of each further file: the database and, if the operator wants it,
// the root key. The package accepts no other names, so a hostile archive cannot
// write outside the target directory.
package backup
