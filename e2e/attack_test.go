package e2e_test

import "testing"

// attack is a hostile program or request. The server is shared by all, since
// what one leaves behind must not harm the next.
type attack struct {
	name string
	try  func(t *testing.T, s *server, a *account)
}

// TestAttack has the cases by number and checks after each that the server is
// as it was before.
func TestAttack(t *testing.T) {
	s := start(t)
	a := s.register(t)
	a.run(t, "print(42)").prints(t, "42\n")
	s.fills(t)
	before := s.footprint(t)
	for _, group := range [][]attack{
		resourceAttacks, lifecycleAttacks, isolationAttacks, fileAttacks, networkAttacks, apiAttacks,
	} {
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
