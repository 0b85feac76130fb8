// Command pyth-on-guest is the first process of every sandbox. To decrypt an
// encrypted program, it starts itself again with argv[0] = unlock.Name.
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
	// The parent process passes the socket of unlock as standard input, and the sockets
	// of the agent as descriptors 3 and 4.
	if os.Args[0] == unlock.Name {
		return unlock.Run(os.Stdin)
	}
	return agent.Run(os.NewFile(3, "control"), 4)
}
