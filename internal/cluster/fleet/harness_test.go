package fleet_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/fleet"
	"github.com/pyth-on/pyth-on/internal/cluster/link/linktest"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
	"github.com/pyth-on/pyth-on/internal/cluster/worker"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
)

var token = []byte("a joining token for tests")

// machine is a worker with a fake host for tests.
type machine struct {
	*host
	worker *worker.Worker
	bus    *linktest.Bus
	images *imagestore.Store
	closed bool
}

type cluster struct {
	t        *testing.T
	hub      *linktest.Hub
	fleet    *fleet.Fleet
	bus      *linktest.Bus
	images   *imagestore.Store
	machines []*machine
}

// inCluster calls the function "test" with a server and n workers. Each worker can run
// two jobs and queue one more. The test uses a fake clock. Time passes only while all
// goroutines wait.
func inCluster(t *testing.T, n int, test func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, hub: linktest.NewHub(time.Millisecond)}
		c.bus = c.hub.Bus()
		c.images = openStore(t)
		var err error
		c.fleet, err = fleet.New(fleet.Config{Bus: c.bus, Token: token, Images: c.images, Observer: noObserver{}, Logger: discard()})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			c.addWorker(fmt.Sprint("worker-", i), wire.Status{})
		}
		time.Sleep(time.Second)
		test(t, c)
		c.fleet.Close()
		for _, m := range c.machines {
			m.close()
		}
		c.bus.Close()
	})
}

type noObserver struct{}

func (noObserver) Ran(*pyth.Outcome) {}
func (noObserver) Refused()          {}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openStore(t *testing.T) *imagestore.Store {
	t.Helper()
	s, err := imagestore.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *cluster) addWorker(name string, extra wire.Status) {
	c.t.Helper()
	m := &machine{host: newHost(name), bus: c.hub.Bus(), images: openStore(c.t)}
	status := func() wire.Status {
		s := extra
		s.Name, s.MaxRunning, s.MaxPerTenant, s.MaxQueued, s.MaxSessions = name, 2, 2, 1, 2
		if s.Runtimes == nil {
			s.Runtimes = map[string]string{"python": "3.14"}
		}
		m.change(func() { s.Running, s.Sessions = m.running, len(m.sessions) })
		return s
	}
	var err error
	m.worker, err = worker.New(worker.Config{Bus: m.bus, Token: token, Host: m.host, Images: m.images, Status: status, Logger: discard()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.machines = append(c.machines, m)
}

func (m *machine) close() {
	if !m.closed {
		m.closed = true
		m.worker.Close()
		m.bus.Close()
	}
}

// kill interrupts the connection of the machine forever.
func (m *machine) kill() { m.bus.Cut(true) }

func newJob(id, tenant, code string) *pyth.Job {
	return &pyth.Job{
		ID: pyth.ExecutionID(id), Tenant: pyth.UserID(tenant), Language: pyth.Python, Code: []byte(code), Timeout: time.Minute,
		Limits: pyth.DefaultLimits(), Isolation: pyth.IsolationTenant,
	}
}

func (c *cluster) run(job *pyth.Job, events pyth.Events) *pyth.Outcome {
	c.t.Helper()
	o, err := pyth.Dispatch(c.t.Context(), c.fleet, job, events)
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

// The method "on" returns the machine that has started the run "a". If there is no such
// machine, the test fails.
func (c *cluster) on() *machine {
	c.t.Helper()
	var found *machine
	for _, m := range c.machines {
		m.change(func() {
			for _, started := range m.started {
				if started == "a" {
					found = m
				}
			}
		})
	}
	if found == nil {
		c.t.Fatal("no worker has started the run")
	}
	return found
}
