package webhook

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
	"github.com/pyth-on/pyth-on/internal/sqlite"
	"github.com/pyth-on/pyth-on/internal/sqlite/sqlitetest"
)

type harness struct {
	*Service
	*testing.T
	store *sqlite.Store
	jobs  []pyth.DeliveryID
	// The field "failing" is the error that each insertion of a job returns.
	failing error
	now     time.Time
}

// policyOf returns an egress policy that allows connections to the addresses of test
// servers.
func policyOf() egress.Policy {
	return egress.Policy{AllowRanges: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
}

func newHarness(t *testing.T, policy egress.Policy, change ...func(*Config)) *harness {
	t.Helper()
	store, v := sqlitetest.Open(t, filepath.Join(t.TempDir(), "db"), "ada")
	h := &harness{T: t, store: store, now: time.Now().Truncate(time.Second)}
	c := Config{
		Store: store, Vault: v, Network: egress.New(egress.Config{Policy: policy, Observer: discard{}}), Clock: func() time.Time { return h.now },
		Logger: slog.New(slog.DiscardHandler),
		Insert: func(_ context.Context, args river.JobArgs, _ *river.InsertOpts) error {
			h.jobs = append(h.jobs, args.(job).ID)
			return h.failing
		},
	}
	for _, f := range change {
		f(&c)
	}
	h.Service = New(c)
	return h
}

type discard struct{}

func (discard) Finished(egress.Connection) {}

// hook creates a webhook with the URL. It returns the webhook and the secret of the
// webhook.
func (h *harness) hook(url string) (*pyth.Webhook, string) {
	h.Helper()
	w, secret, err := h.CreateWebhook(h.Context(), "ada", url, nil)
	if err != nil {
		h.Fatal(err)
	}
	return w, secret
}

// run stores the record of an ended run of the user ada, and schedules the deliveries of
// the run.
func (h *harness) run() []pyth.DeliveryID {
	h.Helper()
	zero := 0
	err := h.store.PutExecutions(h.Context(), []*pyth.SealedExecution{{ExecutionRecord: pyth.ExecutionRecord{
		ID: pyth.NewExecutionID(h.now), User: "ada", State: pyth.StateEnded, Language: pyth.Python, Labels: []string{"nightly"},
		CreatedAt: h.now, StartedAt: h.now, EndedAt: h.now, Status: pyth.StatusSucceeded, ExitCode: &zero, Content: pyth.ContentStored,
	}}})
	h.jobs = nil
	if err == nil {
		err = h.Schedule(h.Context())
	}
	if err != nil {
		h.Fatal(err)
	}
	return h.jobs
}

// attemptOnce sends the delivery once. It returns the delivery, and the delay until the
// next attempt.
func (h *harness) attemptOnce(id pyth.DeliveryID) (*pyth.Delivery, time.Duration) {
	h.Helper()
	delay, err := h.deliver(h.Context(), id)
	if err != nil {
		h.Fatal(err)
	}
	d, _, err := h.store.Delivery(h.Context(), id)
	if err != nil {
		h.Fatal(err)
	}
	return d, delay
}

// request is a request that a test server has received.
type request struct {
	header http.Header
	body   []byte
}

// The function "receiver" starts a server that stores requests. The server calls the
// handler to respond to each request.
func receiver(t *testing.T, respond http.HandlerFunc) (*httptest.Server, func() []request) {
	t.Helper()
	var mu sync.Mutex
	var all []request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, request{r.Header, body})
		mu.Unlock()
		respond(w, r)
	}))
	t.Cleanup(s.Close)
	return s, func() []request {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestDeliveryIsSigned(t *testing.T) {
	h := newHarness(t, policyOf())
	s, requests := receiver(t, status(204))
	w, secret := h.hook(s.URL + "/hook")
	ids := h.run()
	if len(ids) != 1 {
		t.Fatalf("got %d jobs", len(ids))
	}
	d, delay := h.attemptOnce(ids[0])
	if d.State != pyth.DeliveryDelivered || d.Attempts != 1 || d.ResponseStatus != 204 || d.Error != "" || delay != 0 || d.Payload != nil {
		t.Errorf("got %+v, delay %v", d, delay)
	}
	// A second job for the same delivery sends no request.
	h.attemptOnce(ids[0])
	got := requests()
	if len(got) != 1 {
		t.Fatalf("the receiver got %d requests", len(got))
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(got[0].body, got[0].header); err != nil {
		t.Error(err)
	}
	if err := verifier.Verify(append(got[0].body, ' '), got[0].header); err == nil {
		t.Error("a changed payload is accepted")
	}
	if got[0].header.Get("webhook-id") != string(ids[0]) || got[0].header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v", got[0].header)
	}
	var payload struct {
		Type, Timestamp string
		Data            map[string]any
	}
	if err := json.Unmarshal(got[0].body, &payload); err != nil {
		t.Fatal(err)
	}
	if payload.Type != "execution.ended" || payload.Data["status"] != "succeeded" || payload.Data["id"] != string(d.Execution) {
		t.Errorf("got %s", got[0].body)
	}
	if all, err := h.Webhooks(t.Context(), "ada"); err != nil || len(all) != 1 || all[0].ID != w.ID {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestDeliveryIsRepeatedForADay(t *testing.T) {
	h := newHarness(t, policyOf())
	s, requests := receiver(t, status(500))
	h.hook(s.URL)
	id := h.run()[0]
	first := h.now
	attempts := 0
	for {
		d, delay := h.attemptOnce(id)
		attempts++
		if d.Attempts != attempts || d.ResponseStatus != 500 || d.Error != "the receiver responded with the status 500" {
			t.Fatalf("got %+v", d)
		}
		if d.State == pyth.DeliveryFailed {
			break
		}
		if delay <= 0 || !d.NextAttemptAt.Equal(h.now.Add(delay).Truncate(time.Microsecond)) || d.Payload == nil {
			t.Fatalf("got %+v, delay %v", d, delay)
		}
		h.now = h.now.Add(delay)
	}
	if passed := h.now.Sub(first); passed < 12*time.Hour || passed > giveUpAfter || attempts < 8 {
		t.Errorf("%d attempts in %v", attempts, passed)
	}
	for _, r := range requests() {
		if r.header.Get("webhook-id") != string(id) {
			t.Errorf("an attempt has the ID %q", r.header.Get("webhook-id"))
		}
	}
}

// TestDeliveryOutlivesClockJump sets the clock one day ahead. The delivery must not fail
// before the usual number of attempts.
func TestDeliveryOutlivesClockJump(t *testing.T) {
	h := newHarness(t, policyOf())
	s, _ := receiver(t, status(500))
	h.hook(s.URL)
	id := h.run()[0]
	h.attemptOnce(id)
	h.now = h.now.Add(25 * time.Hour)
	for attempts := 2; ; attempts++ {
		d, delay := h.attemptOnce(id)
		if failed := d.State == pyth.DeliveryFailed; failed != (attempts == minAttempts()) || failed != (delay == 0) {
			t.Fatalf("after %d attempts: got %+v, delay %v", attempts, d, delay)
		} else if failed {
			break
		}
		h.now = h.now.Add(delay)
	}
}

// TestBadReceivers checks that no receiver harms the server. It also checks that the
// outcome of each delivery describes the problem.
func TestBadReceivers(t *testing.T) {
	redirected, redirects := receiver(t, status(200))
	written := make(chan int64, 1)
	for name, c := range map[string]struct {
		respond http.HandlerFunc
		state   pyth.DeliveryState
		failure string
	}{
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, pyth.DeliveryPending, "did not respond"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, redirected.URL, http.StatusTemporaryRedirect)
		}, pyth.DeliveryPending, "redirects are not followed"},
		"has gone": {status(410), pyth.DeliveryFailed, "status 410"},
		"responds with 1 GB": {func(w http.ResponseWriter, _ *http.Request) {
			n, _ := io.CopyN(w, zeros{}, 1<<30)
			written <- n
		}, pyth.DeliveryDelivered, ""},
		"has a large header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, pyth.DeliveryPending, "without a valid HTTP response"},
		"disconnects":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, pyth.DeliveryPending, "without a valid HTTP response"},
		"disconnects in its body": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")); panic(http.ErrAbortHandler) }, pyth.DeliveryPending, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, policyOf())
			if name == "hangs" {
				h.sender.timeout = 50 * time.Millisecond
			}
			s, _ := receiver(t, c.respond)
			h.hook(s.URL)
			d, _ := h.attemptOnce(h.run()[0])
			if name != "disconnects in its body" && (d.State != c.state || !strings.Contains(d.Error, c.failure) || c.failure == "" && d.Error != "") {
				t.Errorf("got %+v", d)
			}
		})
	}
	if n := <-written; n > 64<<20 {
		t.Errorf("the server has read at least %d bytes", n)
	}
	if n := len(redirects()); n != 0 {
		t.Errorf("the target of a redirect got %d requests", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// resolver resolves each name to one address.
type resolver netip.Addr

func (r resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.Addr(r)}, nil
}

func TestPrivateAddressesAreNotReached(t *testing.T) {
	s, requests := receiver(t, status(200))
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	// The server resolves the name only when it sends the delivery. The name then
	// resolves to a private address.
	h := newHarness(t, egress.Policy{}, func(c *Config) {
		c.Network = egress.New(egress.Config{Observer: discard{}, Resolver: resolver(netip.MustParseAddr("127.0.0.1"))})
	})
	for _, url := range []string{
		s.URL, "http://localhost:" + port, "http://[::1]:" + port, "http://169.254.169.254/latest", "http://10.0.0.1", "http://2130706433:" + port,
		"http://0177.0.0.1:" + port, "http://[::ffff:127.0.0.1]:" + port,
	} {
		w, _, err := h.CreateWebhook(t.Context(), "ada", url, nil)
		if err == nil && url == "http://localhost:"+port {
			if err := h.DeleteWebhook(t.Context(), "ada", w.ID); err != nil {
				t.Fatal(err)
			}
		} else if pyth.ErrorCode(err) != pyth.CodeInvalid {
			t.Errorf("%s: got %v", url, err)
		}
	}
	h.hook("http://hooks.example.org:" + port)
	d, _ := h.attemptOnce(h.run()[0])
	if d.State != pyth.DeliveryPending || !strings.Contains(d.Error, "no address that programs may connect to") {
		t.Errorf("got %+v", d)
	}
	if n := len(requests()); n != 0 {
		t.Errorf("the receiver got %d requests", n)
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	h := newHarness(t, policyOf())
	s := httptest.NewTLSServer(status(200))
	t.Cleanup(s.Close)
	h.hook(s.URL)
	id := h.run()[0]
	if d, _ := h.attemptOnce(id); d.State != pyth.DeliveryPending || !strings.Contains(d.Error, "certificate of the receiver is not valid") {
		t.Errorf("got %+v", d)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	h.sender = newSender(h.config.Network, roots)
	if d, _ := h.attemptOnce(id); d.State != pyth.DeliveryDelivered {
		t.Errorf("got %+v", d)
	}
}

func TestDeliveriesToOneHostAreLimited(t *testing.T) {
	h := newHarness(t, policyOf())
	s, _ := receiver(t, status(200))
	h.hook(s.URL)
	id := h.run()[0]
	_, w, err := h.store.Delivery(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var all []func()
	for range maxPerHost {
		release, ok := h.sender.acquire(w)
		if !ok {
			t.Fatal("the host is busy")
		}
		all = append(all, release)
	}
	if d, delay := h.attemptOnce(id); d.Attempts != 0 || delay <= 0 {
		t.Errorf("got %+v, delay %v", d, delay)
	}
	for _, release := range all {
		release()
	}
	if d, _ := h.attemptOnce(id); d.State != pyth.DeliveryDelivered || len(h.sender.active) != 0 {
		t.Errorf("got %+v, active %v", d, h.sender.active)
	}
}

func TestStoppingServerCountsNoAttempt(t *testing.T) {
	h := newHarness(t, policyOf())
	ctx, cancel := context.WithCancel(t.Context())
	s, _ := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	h.hook(s.URL)
	id := h.run()[0]
	if _, err := h.deliver(ctx, id); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d, _, err := h.store.Delivery(t.Context(), id); err != nil || d.Attempts != 0 || d.State != pyth.DeliveryPending {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestInterruptedScheduleIsRepeated(t *testing.T) {
	h := newHarness(t, policyOf())
	h.hook("http://hooks.example.org")
	id := h.run()[0]
	if err := h.store.ResetScheduled(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.failing = errors.New("broken")
	if err := h.Schedule(t.Context()); !errors.Is(err, h.failing) {
		t.Errorf("got %v", err)
	}
	h.failing, h.jobs = nil, nil
	if err := h.Schedule(t.Context()); err != nil || len(h.jobs) != 1 || h.jobs[0] != id {
		t.Errorf("got %v, %v", h.jobs, err)
	}
	// A job for a delivery of a deleted webhook does nothing.
	all, err := h.Webhooks(t.Context(), "ada")
	if err == nil {
		err = h.DeleteWebhook(t.Context(), "ada", all[0].ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	if delay, err := h.deliver(t.Context(), id); delay != 0 || err != nil {
		t.Errorf("got %v, %v", delay, err)
	}
}

func TestCreateWebhookChecksItsInput(t *testing.T) {
	h := newHarness(t, policyOf(), func(c *Config) { c.MaxPerUser = 2 })
	for _, url := range []string{
		"", "hooks.example.org", "/hook", "ftp://hooks.example.org", "https://", "https://u:p@hooks.example.org", "https://hooks.example.org/#a",
		"https://hooks.example.org/" + strings.Repeat("a", maxURL), "https://hooks.example.org:99999", "https://a b/", "http://\x00",
	} {
		if _, _, err := h.CreateWebhook(t.Context(), "ada", url, nil); pyth.ErrorCode(err) != pyth.CodeInvalid {
			t.Errorf("%q: got %v", url, err)
		}
	}
	if _, _, err := h.CreateWebhook(t.Context(), "ada", "https://hooks.example.org", []pyth.WebhookEvent{"execution"}); pyth.ErrorCode(err) != pyth.CodeInvalid {
		t.Errorf("got %v", err)
	}
	w, secret, err := h.CreateWebhook(t.Context(), "ada", "https://hooks.example.org", []pyth.WebhookEvent{pyth.EventExecutionEnded, pyth.EventExecutionStarted, pyth.EventExecutionEnded})
	if err != nil || len(w.Events) != 2 || !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("got %+v, %v", w, err)
	}
	h.hook("https://hooks.example.org")
	if _, _, err := h.CreateWebhook(t.Context(), "ada", "https://hooks.example.org", nil); pyth.ErrorCode(err) != pyth.CodeQuotaExceeded {
		t.Errorf("got %v", err)
	}
	quotas, err := h.Quotas(t.Context(), "ada")
	if err != nil || len(quotas) != 1 || quotas[0].Limit != 2 || quotas[0].Used != 2 {
		t.Errorf("got %+v, %v", quotas, err)
	}
	off := newHarness(t, policyOf(), func(c *Config) { c.Disabled = true })
	if _, _, err := off.CreateWebhook(t.Context(), "ada", "https://hooks.example.org", nil); pyth.ErrorCode(err) != pyth.CodeForbidden {
		t.Errorf("got %v", err)
	}
}
