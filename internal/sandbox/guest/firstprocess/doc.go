// Package firstprocess assembles the first process of each run's namespaces. The
// server does not import it: package guest embeds the executable that
// firstprocess/generate writes.
package firstprocess
