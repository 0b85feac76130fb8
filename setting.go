package pyth

// Setting is the value of one setting of a server, without secrets.
type Setting struct {
	Name, Value string
	// Origin is flag, environment, file or default. Source is the name of the flag or
	// variable, or the file and the line.
	Origin, Source string
	// Reload is true if a running server can change the setting. RestartNeeded is true
	// if the file has another value that the server cannot reload.
	Reload, RestartNeeded bool
}
