package main

import "github.com/pyth-on/pyth-on/internal/app"

// e2bFlags are the settings of the protocols of E2B. Their tags set the names of the
// environment variables, because kong would write E_2_B instead of E2B.
type e2bFlags struct {
	E2BAddr    string   `name:"e2b-addr" env:"PYTH_ON_E2B_ADDR" help:"Address of a second listener for the client libraries of E2B: HOST:PORT, or unix:PATH. The listener uses the same certificate as --addr (default: none)."`
	E2BNetwork []string `name:"e2b-network" env:"PYTH_ON_E2B_NETWORK" help:"Hosts that sandboxes of E2B clients may connect to. A client can select other hosts or no network (default: none)."`
}

func (f *e2bFlags) config() app.E2BConfig {
	return app.E2BConfig{Enabled: f.E2BAddr != "", Network: f.E2BNetwork}
}
