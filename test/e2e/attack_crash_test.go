package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// killCount returns how often the test kills the server. The environment variable
// CRASH_KILLS overrides the default number.
func killCount(t testing.TB) int {
	if text, ok := os.LookupEnv("CRASH_KILLS"); ok {
		return must(strconv.Atoi(text))(t)
	}
	return 12
}

// TestAttack107KilledServerKeepsAcknowledgedWrites kills the server at random times
// while clients store secrets. After the next start, the database and the audit log
// must contain each write that the server has acknowledged.
func TestAttack107KilledServerKeepsAcknowledgedWrites(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	flags := []string{"--warm=1", "--warm-node=0"}
	s := startServerIn(t, data, nil, flags...)
	const writers = 4
	var accounts []*account
	for range writers {
		accounts = append(accounts, s.register(t))
	}
	// The slice "stored" contains a map for each writer. The map contains the last
	// number that the writer wrote to each secret. If the server did not acknowledge
	// this write, the number is negative. The slice "requests" contains the IDs of the
	// acknowledged requests of each writer.
	stored := make([]map[string]int, writers)
	requests := make([][]string, writers)
	for i := range stored {
		stored[i] = map[string]int{}
	}
	next := make([]int, writers)
	for round := range killCount(t) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i, a := range accounts {
			wg.Go(func() {
				for ctx.Err() == nil {
					next[i]++
					name, value := fmt.Sprintf("S%d", next[i]%7), fmt.Sprintf("value %d", next[i])
					header := map[string][]string{"X-Api-Key": {a.APIKey}}
					answer, err := s.tryCall(ctx, header, "PUT", "/api/v1/secrets/"+name, object{"value": value})
					if err != nil {
						// The request failed. The test cannot know whether the server
						// stored this write before the server was killed.
						stored[i][name] = -next[i]
						return
					}
					if answer.status != 200 && answer.status != 201 {
						t.Errorf("status %d: %s", answer.status, answer.body)
						return
					}
					stored[i][name] = next[i]
					requests[i] = append(requests[i], answer.header.Get("X-Request-Id"))
				}
			})
		}
		time.Sleep(time.Duration(rand.Int64N(int64(150 * time.Millisecond))))
		s.kill(t)
		cancel()
		wg.Wait()
		s = startServerIn(t, data, nil, flags...)
		for _, a := range accounts {
			a.server = s
		}
		if round%6 == 5 {
			requireAllStored(t, accounts, stored, requests)
		}
	}
	requireAllStored(t, accounts, stored, requests)
	s.stop(t)
	if out, failed := runAudit(t, data, "verify"); failed {
		t.Error(out)
	}
	if out, err := runBinary(t, "keys", "verify", "--data-dir="+data); err != nil || !strings.Contains(out, ": 0 damaged") {
		t.Errorf("%v: %s", err, out)
	}
	total := 0
	for _, r := range requests {
		total += len(r)
	}
	t.Logf("%d kills, %d writes acknowledged", killCount(t), total)
}

func requireAllStored(t *testing.T, accounts []*account, stored []map[string]int, requests [][]string) {
	t.Helper()
	for i, a := range accounts {
		x := a.execute(t, object{"code": "import os\nfor i in range(7):\n    print(os.environ.get(f'S{i}', 'value 0')[6:])", "redactSecrets": false}).ends(t, "succeeded")
		for n, line := range strings.Fields(x.Stdout) {
			got := must(strconv.Atoi(line))(t)
			want := stored[i][fmt.Sprintf("S%d", n)]
			// If the server did not acknowledge the last write, the secret can have the
			// value of this write or of an earlier write.
			if want > 0 && got != want || want < 0 && got > -want {
				t.Errorf("secret S%d of account %d is %d, not %d", n, i, got, want)
			}
		}
		entered := a.auditedRequests(t)
		for _, r := range requests[i] {
			if !entered[r] {
				t.Errorf("request %s of account %d is not in the audit log", r, i)
			}
		}
	}
}

// auditedRequests returns the IDs of all requests that stored a secret. It reads these
// IDs from the audit log.
func (a *account) auditedRequests(t testing.TB) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, action := range []string{"secret.created", "secret.updated"} {
		for cursor := ""; ; {
			var page struct {
				Entries    []struct{ RequestID string }
				NextCursor string
			}
			a.server.call(t, a, "GET", "/api/v1/audit?limit=200&action="+action+"&cursor="+cursor, nil).want(t, 200, &page)
			for _, e := range page.Entries {
				all[e.RequestID] = true
			}
			if cursor = page.NextCursor; cursor == "" {
				break
			}
		}
	}
	return all
}
