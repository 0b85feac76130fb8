package e2e_test

import "testing"

// onlyDeep skips the test unless `make test-deep` runs it. The parameter "reason" says
// why `make test` does not run the test.
func onlyDeep(t *testing.T, reason string) {
	t.Helper()
	if testing.Short() {
		t.Skip("only in make test-deep: " + reason)
	}
}
