package e2e_test

import (
	"sync"
	"testing"
)

// attack is a hostile program or request. The attacks of a test share one server,
// since no attack may affect the next one.
type attack struct {
	name string
	try  func(t *testing.T, s *server, a *account)
}

// exclusiveAttack is held by an attack that uses all processors. Two such attacks at
// once would exceed their time limits.
var exclusiveAttack sync.Mutex

// exclusive returns the attack, changed so that it does not run together with other
// exclusive attacks.
func exclusive(a attack) attack {
	return attack{a.name, func(t *testing.T, s *server, as *account) {
		exclusiveAttack.Lock()
		defer exclusiveAttack.Unlock()
		a.try(t, s, as)
	}}
}

// programAttacks returns the groups of attacks that run programs. The attacks must
// have no effect in any kind of sandbox.
func programAttacks() [][]attack {
	return [][]attack{
		resourceAttacks, lifecycleAttacks, isolationAttacks, fileAttacks, networkAttacks, reuseAttacks, zkAttacks,
		javaScriptAttacks, javaScriptFileAttacks,
	}
}

// attacksUnlessShort returns all groups of attacks on programs. With -short it
// returns only the given groups.
//
// The four tests below combine two settings: the isolation and the server's user.
// With -short, the first and the last test run all attacks. So each attack meets
// both values of each setting. The other tests run the groups whose effect depends
// on the combination.
func attacksUnlessShort(groups ...[]attack) [][]attack {
	if testing.Short() {
		return groups
	}
	return programAttacks()
}

// TestAttack runs all attacks on one server. The name of a subtest begins with the
// number of the attack. After each attack the test checks that the server has returned
// to its earlier state. The tests below check this after each group; without -short
// they check it after each attack.
func TestAttack(t *testing.T) {
	t.Parallel()
	s := startServer(t, defaultStock...)
	s.runAttacks(t, "", true, append(programAttacks(), apiAttacks)...)
}

// TestAttackWithExecutionIsolation runs each program in a new sandbox. With -short
// it runs only the attacks on the reuse of sandboxes.
func TestAttackWithExecutionIsolation(t *testing.T) {
	t.Parallel()
	startServer(t, defaultStock...).runAttacks(t, "execution", !testing.Short(), attacksUnlessShort(reuseAttacks)...)
}

// TestAttackAsOrdinaryUser runs the server without root. Such a server has cgroups
// only if they are delegated to the user. With -short it runs only the attacks on
// resources and on the reuse of sandboxes, since a server without root can enforce
// limits in another way.
func TestAttackAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startServerIn(t, data, attr, defaultStock...).runAttacks(t, "", !testing.Short(), attacksUnlessShort(resourceAttacks, reuseAttacks)...)
}

// TestAttackWithExecutionIsolationAsOrdinaryUser combines the settings of the two
// tests above.
func TestAttackWithExecutionIsolationAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startServerIn(t, data, attr, defaultStock...).runAttacks(t, "execution", !testing.Short(), programAttacks()...)
}

// runAttacks runs the groups of attacks. Their programs request the isolation,
// unless it is "". After each group it checks that the server has returned to its
// earlier state. If settlesEach is true, it checks this after each attack.
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
				a.run(t, "print(42)").prints(t, "42\n")
				if settlesEach {
					s.waitForFootprint(t, before)
				}
			})
		}
		s.waitForFootprint(t, before)
	}
}

// bootsSandboxPerRun reports whether each program of the account boots a sandbox and
// -short is set. Then attacks repeat less, since each repetition is slow.
func (a *account) bootsSandboxPerRun() bool { return testing.Short() && a.isolation == "execution" }

// programAttack returns an attack that runs one program and checks its result.
func programAttack(name string, request object, check func(t *testing.T, x *execution)) attack {
	return attack{name, func(t *testing.T, _ *server, a *account) { check(t, a.execute(t, request)) }}
}

func checkStatus(status string) func(*testing.T, *execution) {
	return func(t *testing.T, x *execution) { x.ends(t, status) }
}

func checkStdout(stdout string) func(*testing.T, *execution) {
	return func(t *testing.T, x *execution) { x.prints(t, stdout) }
}
