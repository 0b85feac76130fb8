package e2e_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// hookRequest is a request that a receiver of webhooks got.
type hookRequest struct {
	header http.Header
	body   []byte
}

// hookReceiver is a server that receives webhooks. It sends each received request to
// the channel "requests".
type hookReceiver struct {
	*httptest.Server
	requests chan hookRequest
	// ignoresTime is true if the clock of the tested server is wrong. In this case, the
	// receiver accepts signatures with any time.
	ignoresTime bool
}

func startReceiver(t *testing.T) *hookReceiver { return startReceiverAt(t, "127.0.0.1:0") }

func startReceiverAt(t *testing.T, address string) *hookReceiver {
	t.Helper()
	r := &hookReceiver{requests: make(chan hookRequest, 100)}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.requests <- hookRequest{q.Header, body}
	}))
	_ = r.Listener.Close()
	r.Listener = must(net.Listen("tcp", address))(t)
	r.Start()
	t.Cleanup(r.Close)
	return r
}

type createdHook struct{ ID, URL, Secret string }

func (a *account) createHook(t *testing.T, request object) (w createdHook) {
	t.Helper()
	a.server.call(t, a, "POST", "/api/v1/webhooks", request).want(t, 201, &w)
	return w
}

// receive waits for a delivery and checks the signature. It returns the event and the
// fields of the run.
func (r *hookReceiver) receive(t *testing.T, secret string) (event string, run record) {
	t.Helper()
	select {
	case q := <-r.requests:
		verifier := must(standardwebhooks.NewWebhook(secret))(t)
		verify := verifier.Verify
		if r.ignoresTime {
			verify = verifier.VerifyIgnoringTimestamp
		}
		if err := verify(q.body, q.header); err != nil {
			t.Error(err)
		}
		var payload struct {
			Type string
			Data record
		}
		if err := json.Unmarshal(q.body, &payload); err != nil {
			t.Fatal(err)
		}
		return payload.Type, payload.Data
	case <-time.After(3 * time.Minute):
		// The time-out is long, because with PostgreSQL, another server retries the
		// attempts of a killed server only after two minutes.
		t.Fatal("no delivery arrived")
	}
	return "", run
}

func TestWebhooksReceiveRuns(t *testing.T) {
	t.Parallel()
	receiver := startReceiver(t)
	data := newDataDir(t)
	s := startServerIn(t, data, nil, "--egress-allow-range=127.0.0.1/32")
	a, other := s.register(t), s.register(t)
	hook := a.createHook(t, object{"url": receiver.URL})
	e := a.execute(t, object{"code": "print(42)", "labels": []string{"nightly"}})
	if event, run := receiver.receive(t, hook.Secret); event != "execution.ended" || run.ID != e.ID || run.Status != "succeeded" || run.Stdout != "" || run.Code != "" {
		t.Errorf("got %s of %+v", event, run)
	}
	// A webhook of a run receives only the events of this run. Use a separate receiver,
	// because the first receiver also gets these events for the account's webhook.
	own := startReceiver(t)
	var queued struct {
		ID      string
		Webhook createdHook
	}
	x := s.callWithHeader(t, http.Header{"X-Api-Key": {a.APIKey}, "Prefer": {"respond-async"}}, "POST", "/api/v1/execute", object{"code": "1/0", "webhook": object{"url": own.URL}})
	x.want(t, 202, &queued)
	if event, run := own.receive(t, queued.Webhook.Secret); event != "execution.ended" || run.ID != queued.ID || run.Status != "failed" {
		t.Errorf("got %s of %+v", event, run)
	}
	if event, run := receiver.receive(t, hook.Secret); event != "execution.ended" || run.ID != queued.ID {
		t.Errorf("got %s of %+v", event, run)
	}
	path := "/api/v1/webhooks/" + hook.ID
	s.call(t, other, "GET", path+"/deliveries", nil).refused(t, 404, "not_found")
	s.call(t, other, "DELETE", path, nil).refused(t, 404, "not_found")
	s.call(t, a, "POST", "/api/v1/webhooks", object{"url": "http://10.0.0.1/"}).refused(t, 400, "invalid_request")

	// If the server is killed after it has stored an event, the server must deliver the
	// event after its next start.
	receiver.Close()
	failed := a.run(t, "1/0")
	if len(a.records(t, "")) != 3 { // The server stores the record before it answers a request for the list.
		t.Error("a record is missing")
	}
	s.kill(t)
	receiver = startReceiverAt(t, receiver.Listener.Addr().String())
	s = startServerIn(t, data, nil, "--egress-allow-range=127.0.0.1/32")
	a.server = s
	if event, run := receiver.receive(t, hook.Secret); event != "execution.ended" || run.ID != failed.ID || run.Status != "failed" {
		t.Errorf("got %s of %+v", event, run)
	}
	var page struct {
		Deliveries []struct{ ID, State, ExecutionID string }
	}
	s.call(t, a, "GET", path+"/deliveries", nil).want(t, 200, &page)
	if len(page.Deliveries) != 3 || page.Deliveries[0].ExecutionID != failed.ID || page.Deliveries[1].State != "delivered" {
		t.Errorf("got %+v", page)
	}
	s.call(t, a, "DELETE", path, nil).want(t, 204, nil)
	s.call(t, a, "GET", path+"/deliveries", nil).refused(t, 404, "not_found")
}
