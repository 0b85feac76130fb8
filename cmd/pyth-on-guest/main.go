// Command pyth-on-guest is the first process of every sandbox.
package main

import (
	"fmt"
	"os"

	"github.com/pyth-on/pyth-on/guest/agent"
)

func main() {
	// The socket's number is fixed by the host's OCI spec.
	if err := agent.Run(os.NewFile(3, "control")); err != nil {
		fmt.Fprintln(os.Stderr, "pyth-on-guest: "+err.Error())
		os.Exit(1)
	}
}
