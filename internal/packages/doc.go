// Package packages manages the packages of users. It resolves requirements to
// lockfiles, and makes layers with the packages' files for sandboxes.
//
// A requirement is a name with versions, never a URL or a path. A resolver runs
// in a sandbox without user data and reaches only the operator's index. The
// gateway adds the operator's credentials outside the sandbox. No code of a
// package runs during installation. All files of a package come from one archive
// with the pinned hash, so that users can share them. A change takes effect
// completely or not at all, even if the server is killed. The lockfiles suffice
// to make all files again.
package packages
