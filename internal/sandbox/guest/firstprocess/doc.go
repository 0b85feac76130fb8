// Package firstprocess assembles the executable of the first process in each
// run's namespaces. Only the command firstprocess/generate imports it. That
// command writes the executable to a file, which package guest embeds.
package firstprocess
