package generate

import pyth "github.com/pyth-on/pyth-on"

// missingPackage is the package that a program lacks by what it failed with; "" if
// it is none.
func (w *work) missingPackage(e *pyth.ProgramError) string {
	if e == nil {
		return ""
	}
	name := pyth.PackageOf(w.result.Language, pyth.MissingModule(w.result.Language, e))
	// What a program says can be anything.
	if w.hide(e.Message) != e.Message || w.hide(name) != name {
		return ""
	}
	return name
}
