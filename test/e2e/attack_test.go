package e2e_test

import (
	"sync"
	"testing"
)

// attack is a hostile program or request. The attacks of a test share one server,
// because no attack may affect later attacks.
type attack struct {
	name string
	try  func(t *testing.T, s *server, a *account)
}

// exclusiveAttack is locked during an attack that uses all processors. Two such attacks
// at the same time would exceed their time limits.
var exclusiveAttack sync.Mutex

// exclusive wraps an attack, so that it does not run at the same time as other
// exclusive attacks.
func exclusive(a attack) attack {
	return attack{a.name, func(t *testing.T, s *server, as *account) {
		exclusiveAttack.Lock()
		defer exclusiveAttack.Unlock()
		a.try(t, s, as)
	}}
}

func programAttacks() [][]attack {
	return [][]attack{
		resourceAttacks, lifecycleAttacks, isolationAttacks, fileAttacks, networkAttacks, reuseAttacks, zkAttacks,
		javaScriptAttacks, javaScriptFileAttacks,
	}
}

// attacksUnlessShort returns all groups of program attacks. With -short, it returns
// only the given groups.
//
// Four tests in this file combine two settings of the server: the isolation and the
// user. Even with -short, the first and the last test run all attacks. These two tests
// differ in both settings. So each attack runs with each value of each setting. With
// -short, the second and the third test run only the attacks that depend on the
// combination of the settings.
func attacksUnlessShort(groups ...[]attack) [][]attack {
	if testing.Short() {
		return groups
	}
	return programAttacks()
}

// TestAttack runs all attacks on one server. Each attack is a subtest. After each
// attack, the test checks that the server has freed its resources. With -short, the
// other tests check the resources only after each group of attacks.
func TestAttack(t *testing.T) {
	t.Parallel()
	s := startServer(t, defaultStock...)
	s.runAttacks(t, "", true, append(programAttacks(), ownServerAttacks, overloadAttacks, apiAttacks, processAttacks, treeAttacks)...)
}

// TestAttackWithExecutionIsolation runs each program in a new sandbox. With -short, it
// runs only two groups of attacks: reuse of sandboxes, and overload.
func TestAttackWithExecutionIsolation(t *testing.T) {
	t.Parallel()
	startServer(t, defaultStock...).runAttacks(t, "execution", !testing.Short(), append(attacksUnlessShort(reuseAttacks), overloadAttacks)...)
}

// TestAttackAsOrdinaryUser runs the server without root. Such a server often has no
// cgroups, and then it enforces limits in another way. So with -short, the test runs
// only the attacks on resources and on the reuse of sandboxes, and the attacks by
// processes in sessions.
func TestAttackAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startServerIn(t, data, attr, defaultStock...).runAttacks(t, "", !testing.Short(), append(attacksUnlessShort(resourceAttacks, reuseAttacks), processAttacks)...)
}

func TestAttackWithExecutionIsolationAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startServerIn(t, data, attr, defaultStock...).runAttacks(t, "execution", !testing.Short(), programAttacks()...)
}

// runAttacks runs the groups of attacks with the given isolation. If isolation is "",
// it uses the default. After each group, it checks that the server still runs programs
// and has freed its resources. If settlesEach is true, it also checks this after each
// attack. With the default isolation, a normal program runs between two attacks,
// because both attacks use the same sandbox.
func (s *server) runAttacks(t *testing.T, isolation string, settlesEach bool, groups ...[]attack) {
	t.Helper()
	a := s.register(t)
	a.isolation = isolation
	a.run(t, "print(42)").prints(t, "42\n")
	s.waitUntilPoolFull(t)
	before := s.footprint(t)
	for _, group := range groups {
		for _, attack := range group {
			t.Run(attack.name, func(t *testing.T) {
				attack.try(t, s, a)
				if settlesEach || isolation == "" {
					a.run(t, "print(42)").prints(t, "42\n")
				}
				if settlesEach {
					s.waitForFootprint(t, before)
				}
			})
		}
		a.run(t, "print(42)").prints(t, "42\n")
		s.waitForFootprint(t, before)
	}
}

// needsShortAttacks reports whether attacks must use fewer repetitions. It returns true
// with -short if each run boots a new sandbox, because a boot is slow.
func (a *account) needsShortAttacks() bool { return testing.Short() && a.isolation == "execution" }

func programAttack(name string, request object, check func(t *testing.T, x *execution)) attack {
	return attack{name, func(t *testing.T, _ *server, a *account) { check(t, a.execute(t, request)) }}
}

func checkStatus(status string) func(*testing.T, *execution) {
	return func(t *testing.T, x *execution) { x.ends(t, status) }
}

func checkStdout(stdout string) func(*testing.T, *execution) {
	return func(t *testing.T, x *execution) { x.prints(t, stdout) }
}
