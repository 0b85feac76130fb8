// Command pyth-on-guest is the first process of every sandbox. It starts itself again
// as unlock.Name to decrypt an encrypted program.
package main

import (
	"fmt"
	"os"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/agent"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/unlock"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pyth-on-guest: "+err.Error())
		os.Exit(1)
	}
}

func run() error {
	// In both cases the parent process passes the sockets at fixed descriptors.
	if os.Args[0] == unlock.Name {
		return unlock.Run(os.Stdin)
	}
	return agent.Run(os.NewFile(3, "control"), 4)
}
