// Command pyth-on-sandbox is gVisor's command runsc with Pyth-On's changes. The
// server starts it for each sandbox. It is embedded in pyth-on.
package main

import "github.com/pyth-on/pyth-on/internal/sandbox/kernel"

func main() { kernel.Main() }
