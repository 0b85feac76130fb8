package generate

import pyth "github.com/pyth-on/pyth-on"

// missingPackage returns the package that the program could not import, or "".
func (w *work) missingPackage(e *pyth.ProgramError) string {
	if e == nil {
		return ""
	}
	name := pyth.PackageOf(w.result.Language, pyth.MissingModule(w.result.Language, e))
	// The message comes from the program, so it may contain anything.
	if w.hide(e.Message) != e.Message || w.hide(name) != name {
		return ""
	}
	return name
}
