package e2e_test

import "testing"

// onlyDeep makes the test a part of `make test-deep` alone. The reason says why it is
// not in `make test`.
func onlyDeep(t *testing.T, reason string) {
	t.Helper()
	if testing.Short() {
		t.Skip("only in make test-deep: " + reason)
	}
}
