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
	// The program has two roles. To decrypt a program, it reads its only socket from
	// standard input. Otherwise it is the sandbox's first process ("agent"), and its
	// sockets are the descriptors 3 and 4.
	if os.Args[0] == unlock.Name {
		return unlock.Run(os.Stdin)
	}
	return agent.Run(os.NewFile(3, "control"), 4)
}
