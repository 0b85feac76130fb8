// Command pyth-on-guest is the first process of every sandbox. If an encrypted program
// must be decrypted, pyth-on-guest starts a copy of itself with argv[0] = unlock.Name.
// This copy decrypts the program.
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
	// This executable has two roles. If it decrypts a program, its only socket is
	// standard input. Otherwise it is the first process of the sandbox (the agent), and
	// its sockets are the file descriptors 3 to 5.
	if os.Args[0] == unlock.Name {
		return unlock.Run(os.Stdin)
	}
	return agent.Run(os.NewFile(3, "control"), 4, 5)
}
