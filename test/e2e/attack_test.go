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

// exclusiveAttack is locked during an attack that uses all processors. Two such
// attacks in parallel would exceed their time limits.
var exclusiveAttack sync.Mutex

// exclusive returns an attack that does not run in parallel with other exclusive
// attacks.
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

// attacksUnlessShort returns all groups of attacks on programs. With -short, it
// returns only the given groups.
//
// The four TestAttack functions in this file combine two settings: the isolation and
// the server's user. Even with -short, the first and the last of these tests run all
// attacks. The first and the last test differ in the isolation and in the user, so
// each attack runs with each value of each setting. With -short, the second and the
// third test run only the groups that depend on the combination.
func attacksUnlessShort(groups ...[]attack) [][]attack {
	if testing.Short() {
		return groups
	}
	return programAttacks()
}

// TestAttack runs all attacks on one server. Each subtest has the name of an attack,
// which begins with a number. After each attack, the test checks that the server has
// freed its resources. With -short, the other tests check the resources only after
// each group of attacks.
func TestAttack(t *testing.T) {
	t.Parallel()
	s := startServer(t, defaultStock...)
	s.runAttacks(t, "", true, append(programAttacks(), ownServerAttacks, overloadAttacks, apiAttacks)...)
}

// TestAttackWithExecutionIsolation runs each program in a new sandbox. With -short, it
// runs only two groups: attacks on the reuse of sandboxes, and attacks by overload.
func TestAttackWithExecutionIsolation(t *testing.T) {
	t.Parallel()
	startServer(t, defaultStock...).runAttacks(t, "execution", !testing.Short(), append(attacksUnlessShort(reuseAttacks), overloadAttacks)...)
}

// TestAttackAsOrdinaryUser runs the server without root. Such a server has cgroups
// only if they are delegated to its user. Without cgroups, it enforces limits in
// another way. So with -short, the test runs only the attacks on resources and on
// reuse.
func TestAttackAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startServerIn(t, data, attr, defaultStock...).runAttacks(t, "", !testing.Short(), attacksUnlessShort(resourceAttacks, reuseAttacks)...)
}

func TestAttackWithExecutionIsolationAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startServerIn(t, data, attr, defaultStock...).runAttacks(t, "execution", !testing.Short(), programAttacks()...)
}

// runAttacks runs the groups of attacks with the given isolation, or with the
// default if isolation is "". After each group, it checks that the server runs
// programs and has freed its resources. If settlesEach is true, it also checks this
// after each attack. With the default isolation, the next attack uses the same
// sandbox. So in this case, a program always runs between two attacks.
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

// needsShortAttacks reports whether attacks must use fewer repetitions. This is the
// case with -short if each run boots a sandbox, because a boot is slow.
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
