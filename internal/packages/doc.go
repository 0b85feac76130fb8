// Package packages keeps users' lists of Python and JavaScript packages, and
// makes of each list the files that the user's sandboxes have.
//
// It promises that what users ask for can only be names and versions; that what
// is to be installed is found out in a sandbox that holds nothing of anybody and
// reaches nothing but the operator's index, through a gateway which adds the
// operator's credentials outside; that nothing of a package runs while it is
// installed; that the files of a package are made from an archive of the locked
// hash and from nothing else, so that users can share them; that a change is
// made as a whole or not at all, whenever the server dies; and that what is on
// disk can be made again from the store.
package packages
