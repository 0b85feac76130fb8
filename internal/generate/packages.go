package generate

import pyth "github.com/pyth-on/pyth-on"

// missingPackage returns the package that the program could not import, or "" if the
// error has another cause.
func (w *work) missingPackage(e *pyth.ProgramError) string {
	if e == nil {
		return ""
	}
	name := pyth.PackageOf(w.result.Language, pyth.MissingModule(w.result.Language, e))
	// The untrusted program determines the text of the message. If the message contains a
	// secret value, ignore the error. Otherwise the secret value could become the name of
	// a package in a request.
	if w.hide(e.Message) != e.Message || w.hide(name) != name {
		return ""
	}
	return name
}
