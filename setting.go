package pyth

// Setting is one setting of a server with its value. It never contains a secret.
type Setting struct {
	Name, Value string
	// Origin is "flag", "environment", "file" or "default". Source is the name of the
	// flag or of the variable, or the file and the line.
	Origin, Source string
	// Reload is true if a running server can change the setting. RestartNeeded is true
	// if the file contains a new value that takes effect only after a restart.
	Reload, RestartNeeded bool
}
