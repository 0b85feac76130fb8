// Package firstprocess assembles the program of the first process in each run's
// namespaces. The server does not import it. Package guest embeds the executable
// that firstprocess/generate writes.
package firstprocess
