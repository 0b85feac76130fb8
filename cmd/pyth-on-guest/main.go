// Command pyth-on-guest is the first process of every sandbox.
package main

import (
	"fmt"
	"os"

	"github.com/pyth-on/pyth-on/guest/agent"
)

func main() {
	// The sockets' numbers are fixed by the host.
	if err := agent.Run(os.NewFile(3, "control"), 4); err != nil {
		fmt.Fprintln(os.Stderr, "pyth-on-guest: "+err.Error())
		os.Exit(1)
	}
}
