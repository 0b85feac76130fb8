// Command pyth-on-guest is the first process of every sandbox, and, under
// another name, the one in it that decrypts a program.
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
	// The sockets' numbers are fixed by who starts this.
	if os.Args[0] == unlock.Name {
		return unlock.Run(os.Stdin)
	}
	return agent.Run(os.NewFile(3, "control"), 4)
}
