// Package packages manages the packages of users. It resolves requirements to
// lockfiles and makes layers. A layer is a file system with the packages of a
// lockfile. Sandboxes mount layers.
//
// A requirement is a package name, optionally with constraints on the version. It is
// never a URL or a path. A resolver runs in a sandbox without user data, and can reach
// only the operator's package index. The gateway runs outside the sandbox. It adds the
// operator's credentials to the resolver's requests. No code of a package runs during
// installation.
//
// All files of a package come from one archive with the pinned hash. So several users can
// share these files. A change takes effect completely or not at all, even after a crash
// of the server. The server can make all files again from the lockfiles.
package packages
