// Package backup reads and writes archives with the data of a server.
//
// An archive is a tar file. Its first file is the manifest. The manifest contains the
// size and the hash of each other file. The other files are the database and optionally
// the root key. The package rejects all other file names, so a malicious archive cannot
// write outside the target directory.
package backup
