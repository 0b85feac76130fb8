// Command pyth-on-guest runs as the first process of every sandbox. Under another
// name, it decrypts an encrypted program inside the sandbox.
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
	// The parent process passes the sockets at fixed descriptors.
	if os.Args[0] == unlock.Name {
		return unlock.Run(os.Stdin)
	}
	return agent.Run(os.NewFile(3, "control"), 4)
}
