package e2e_test

import "testing"

// attack is a hostile program or request. The server is shared by all, since
// what one leaves behind must not harm the next.
type attack struct {
	name string
	try  func(t *testing.T, s *server, a *account)
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
// as it was before.
func TestAttack(t *testing.T) {
	s := start(t)
	s.withstands(t, "", append(hostilePrograms(), apiAttacks)...)
}

// TestAttackSandboxesOfOneExecution has each program in a sandbox of its own.
func TestAttackSandboxesOfOneExecution(t *testing.T) {
	start(t).withstands(t, "execution", hostilePrograms()...)
}

// TestAttackServerOfAnOrdinaryUser has the server run without root's rights
// and, where that user has none delegated, without cgroups.
func TestAttackServerOfAnOrdinaryUser(t *testing.T) {
	attr, data := ordinaryUser(t)
	startIn(t, data, attr).withstands(t, "", hostilePrograms()...)
}

// TestAttackSandboxesOfOneExecutionOfAnOrdinaryUser is both.
func TestAttackSandboxesOfOneExecutionOfAnOrdinaryUser(t *testing.T) {
	attr, data := ordinaryUser(t)
	startIn(t, data, attr).withstands(t, "execution", hostilePrograms()...)
}

// withstands tries the attacks on the server, with programs that ask for the
// isolation, or for none.
func (s *server) withstands(t *testing.T, isolation string, groups ...[]attack) {
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
				s.settles(t, before)
			})
		}
	}
}

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
