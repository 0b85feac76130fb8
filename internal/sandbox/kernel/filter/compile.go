package filter

import (
	"fmt"
	"slices"
	_ "unsafe" // For go:linkname.

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/seccomp"
	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	"gvisor.dev/gvisor/pkg/sentry/platform"
	_ "gvisor.dev/gvisor/pkg/sentry/platform/systrap" // Registers the platform.
	"gvisor.dev/gvisor/runsc/boot/filter/config"
)

// Compile compiles the filter for the options of sandboxes. The identifier of the process
// and the descriptor of the control socket are variables of the result.
func Compile() (precompiledseccomp.Program, error) {
	o, err := options()
	if err != nil {
		return precompiledseccomp.Program{}, err
	}
	var names []string
	for name := range o.Vars() {
		names = append(names, name)
	}
	slices.Sort(names)
	return precompiledseccomp.Precompile(o.ConfigKey(), names, func(values precompiledseccomp.Values) *seccomp.Program {
		allowed, denied := rules(o, values)
		// For this rule, gVisor uses the identifier of the process that compiles the
		// filter. Replace this identifier by the variable.
		allowed.Remove(unix.SYS_RT_TGSIGQUEUEINFO)
		allowed.Set(unix.SYS_RT_TGSIGQUEUEINFO, seccomp.PerArg{
			seccomp.EqualTo(values.GetUint64("self_pid")),
			seccomp.AnyValue{},
			seccomp.EqualTo(unix.SIGKILL),
		})
		return newProgram(o, allowed, denied)
	})
}

// options returns the options that follow from the flags of sandboxes. The options do not
// contain the descriptor of the control socket.
func options() (config.Options, error) {
	constructor, err := platform.Lookup("systrap")
	if err != nil {
		return config.Options{}, err
	}
	platforms := constructor.PrecompiledSeccompInfo()
	if len(platforms) != 1 {
		return config.Options{}, fmt.Errorf("systrap has %d kinds of filters; this package expects one", len(platforms))
	}
	return config.Options{Platform: platforms[0]}, nil
}

func newProgram(o config.Options, allowed, denied seccomp.SyscallRules) *seccomp.Program {
	return &seccomp.Program{
		RuleSets: []seccomp.RuleSet{{Rules: denied.Copy()}, {Rules: allowed.Copy(), Action: seccomp.Allow}},
		Options:  config.SeccompOptions(o),
	}
}

// rules is gVisor's function that returns the rules for given values of the variables.
//
//go:linkname rules gvisor.dev/gvisor/runsc/boot/filter/config.rules
func rules(config.Options, precompiledseccomp.Values) (allowed, denied seccomp.SyscallRules)
