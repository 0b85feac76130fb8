// Package packages manages the packages of users: it resolves requirements to
// lockfiles, and makes layers with the files for users' sandboxes.
//
// A requirement is only a name with versions. A resolver runs in a sandbox that
// holds no user's data and reaches only the operator's index; the gateway adds the
// operator's credentials outside of the sandbox. No code of a package runs during
// installation. The files of a package come from an archive with the pinned hash
// and from nothing else, so that users can share them. A change takes effect as a
// whole or not at all, even if the server dies. All files can be made again from
// the lockfiles.
package packages
