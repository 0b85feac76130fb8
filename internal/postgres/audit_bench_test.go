package postgres_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
)

// BenchmarkRecord appends entries of several servers to the audit log. The metric
// "ns/batch" is the time between two batches. This time includes the wait for the lock,
// because only one server at a time can have the lock.
func BenchmarkRecord(b *testing.B) {
	for _, c := range []struct{ servers, clients int }{{1, 1}, {1, 64}, {2, 64}, {1, 1024}, {2, 1024}} {
		b.Run(fmt.Sprintf("servers=%d/clients=%d", c.servers, c.clients), func(b *testing.B) {
			url := cluster.Database(b)
			logs := make([]*log.Log, c.servers)
			for i := range logs {
				store := open(b, url)
				l, err := log.Open(b.Context(), log.Config{Store: store, Shared: store, Seed: make([]byte, 32), Clock: time.Now})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = l.Close() })
				logs[i] = l
			}
			event := pyth.AuditEvent{
				User: "usr_01a21670-0c4f-7c2d-8b87-566167d7dbb4", Action: pyth.ActionKeyCreated, Outcome: pyth.AuditSuccess, Resource: "key",
			}
			var all sync.WaitGroup
			b.ResetTimer()
			for client := range c.clients {
				all.Go(func() {
					for i := client; i < b.N; i += c.clients {
						if err := logs[client%c.servers].Record(b.Context(), &event); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.StopTimer()
			batches := int64(0)
			for _, l := range logs {
				batches += l.Stats().Commits
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(batches, 1)), "ns/batch")
			b.ReportMetric(float64(b.N)/float64(max(batches, 1)), "entries/batch")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
