package pyth

// Setting is the value of one setting of a server, without secrets.
type Setting struct {
	Name, Value string
	// Origin is flag, environment, file or default. Source is the name of the flag or
	// variable, or the file and the line.
	Origin, Source string
	// Reload reports whether a running server can change the setting. RestartNeeded
	// reports that the file has another value, which the server cannot reload.
	Reload, RestartNeeded bool
}
