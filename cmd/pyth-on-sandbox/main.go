// Command pyth-on-sandbox is gVisor's command runsc with changes for Pyth-On. The
// server starts one pyth-on-sandbox process for each sandbox. The executable is
// embedded in pyth-on.
package main

import "github.com/pyth-on/pyth-on/internal/sandbox/kernel"

func main() { kernel.Main() }
