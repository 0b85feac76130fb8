package e2e_test

import (
	"sync"
	"testing"
)

// attack describes a hostile program or request. All attacks share the server,
// since the effects of one must not harm the next.
type attack struct {
	name string
	try  func(t *testing.T, s *server, a *account)
}

// exclusiveAttack is held by the one busy attack that may run. Parallel ones would slow
// each other down until their time limit.
var exclusiveAttack sync.Mutex

// exclusive makes an attack wait for others that use all of the processor.
func exclusive(a attack) attack {
	return attack{a.name, func(t *testing.T, s *server, as *account) {
		exclusiveAttack.Lock()
		defer exclusiveAttack.Unlock()
		a.try(t, s, as)
	}}
}

// programAttacks are the attacks that every sandbox must withstand, however it is
// made or used.
func programAttacks() [][]attack {
	return [][]attack{
		resourceAttacks, lifecycleAttacks, isolationAttacks, fileAttacks, networkAttacks, reuseAttacks, zkAttacks,
		javaScriptAttacks, javaScriptFileAttacks,
	}
}

// TestAttack runs the cases by number, and checks after each that the server is in
// its earlier state. The tests below check this after each group. Without -short
// they check it after each case.
func TestAttack(t *testing.T) {
	t.Parallel()
	s := startServer(t, defaultStock...)
	s.runAttacks(t, "", true, append(programAttacks(), apiAttacks)...)
}

// TestAttackWithExecutionIsolation runs each program in its own sandbox.
func TestAttackWithExecutionIsolation(t *testing.T) {
	t.Parallel()
	startServer(t, defaultStock...).runAttacks(t, "execution", !testing.Short(), programAttacks()...)
}

// TestAttackAsOrdinaryUser runs the server without root's rights. It has
// no cgroups either, unless that user has delegated ones.
func TestAttackAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startServerIn(t, data, attr, defaultStock...).runAttacks(t, "", !testing.Short(), programAttacks()...)
}

// TestAttackWithExecutionIsolationAsOrdinaryUser combines both.
func TestAttackWithExecutionIsolationAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startServerIn(t, data, attr, defaultStock...).runAttacks(t, "execution", !testing.Short(), programAttacks()...)
}

// runAttacks tries the attacks on the server, with programs that request the
// isolation, or none. After each group it checks that the server is in its earlier
// state. With settlesEach it checks this after each attack.
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

// bootsSandboxPerRun reports whether each program of the account takes a new sandbox, so
// that repeats are slow. Short tests then repeat less.
func (a *account) bootsSandboxPerRun() bool { return testing.Short() && a.isolation == "execution" }

// programAttack makes an attack from a program and a check of its one answer.
func programAttack(name string, request object, check func(t *testing.T, x *execution)) attack {
	return attack{name, func(t *testing.T, _ *server, a *account) { check(t, a.execute(t, request)) }}
}

func checkStatus(status string) func(*testing.T, *execution) {
	return func(t *testing.T, x *execution) { x.ends(t, status) }
}

func checkStdout(stdout string) func(*testing.T, *execution) {
	return func(t *testing.T, x *execution) { x.prints(t, stdout) }
}
