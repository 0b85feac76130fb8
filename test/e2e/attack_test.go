package e2e_test

import (
	"sync"
	"testing"
)

// attack is a hostile program or request. The server is shared by all, since
// what one leaves behind must not harm the next.
type attack struct {
	name string
	try  func(t *testing.T, s *server, a *account)
}

// processor is held by the one busy attack that may run: several at once would
// slow each other down until their time is up.
var processor sync.Mutex

// busy makes an attack wait for others that take all of the processor.
func busy(a attack) attack {
	return attack{a.name, func(t *testing.T, s *server, as *account) {
		processor.Lock()
		defer processor.Unlock()
		a.try(t, s, as)
	}}
}

// hostilePrograms are the attacks that a sandbox must withstand, however it was
// made and whatever it is used for.
func hostilePrograms() [][]attack {
	return [][]attack{
		resourceAttacks, lifecycleAttacks, isolationAttacks, fileAttacks, networkAttacks, reuseAttacks, zkAttacks,
		javaScriptAttacks, javaScriptFileAttacks,
	}
}

// TestAttack has the cases by number and checks after each that the server is
// as it was before. The tests below check so after each group, or after each case
// if tests are not short.
func TestAttack(t *testing.T) {
	t.Parallel()
	s := start(t, defaultStock...)
	s.withstands(t, "", true, append(hostilePrograms(), apiAttacks)...)
}

// TestAttackSandboxesOfOneExecution has each program in a sandbox of its own.
func TestAttackSandboxesOfOneExecution(t *testing.T) {
	t.Parallel()
	start(t, defaultStock...).withstands(t, "execution", !testing.Short(), hostilePrograms()...)
}

// TestAttackServerOfAnOrdinaryUser has the server run without root's rights
// and, where that user has none delegated, without cgroups.
func TestAttackServerOfAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startIn(t, data, attr, defaultStock...).withstands(t, "", !testing.Short(), hostilePrograms()...)
}

// TestAttackSandboxesOfOneExecutionOfAnOrdinaryUser is both.
func TestAttackSandboxesOfOneExecutionOfAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	startIn(t, data, attr, defaultStock...).withstands(t, "execution", !testing.Short(), hostilePrograms()...)
}

// withstands tries the attacks on the server, with programs that ask for the
// isolation, or for none. It checks that the server is as before after each group,
// and, if settlesEach, after each attack.
func (s *server) withstands(t *testing.T, isolation string, settlesEach bool, groups ...[]attack) {
	t.Helper()
	a := s.register(t)
	a.isolation = isolation
	a.run(t, "print(42)").prints(t, "42\n")
	s.fills(t)
	before := s.footprint(t)
	for _, group := range groups {
		for _, attack := range group {
			t.Run(attack.name, func(t *testing.T) {
				attack.try(t, s, a)
				a.run(t, "print(42)").prints(t, "42\n")
				if settlesEach {
					s.settles(t, before)
				}
			})
		}
		s.settles(t, before)
	}
}

// bootsEach tells whether each program of the account takes a new sandbox, so that
// repeating it is slow. Short tests repeat less then.
func (a *account) bootsEach() bool { return testing.Short() && a.isolation == "execution" }

// program is an attack that is a program with one answer.
func program(name string, request object, check func(t *testing.T, x *execution)) attack {
	return attack{name, func(t *testing.T, _ *server, a *account) { check(t, a.execute(t, request)) }}
}

func ends(status string) func(*testing.T, *execution) {
	return func(t *testing.T, x *execution) { x.ends(t, status) }
}

func prints(stdout string) func(*testing.T, *execution) {
	return func(t *testing.T, x *execution) { x.prints(t, stdout) }
}
