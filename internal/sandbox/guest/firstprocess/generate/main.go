// Command generate writes the executable of the first process to the file named
// by its argument. Run it with `go generate ./internal/sandbox/guest`.
package main

import (
	"fmt"
	"os"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/firstprocess"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: generate FILE")
	}
	b, err := firstprocess.Executable()
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], b, 0o755)
}
