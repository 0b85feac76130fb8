package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestMessageWriterHasItsOwnHeader checks that comments can be sent while the protocol
// library changes the header of its response. Run the test with the race detector.
func TestMessageWriterHasItsOwnHeader(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	answer.Header().Set("X-Request-Id", "req_1")
	w := newMessageWriter(answer, time.Minute, func(error) { t.Error("refused") })
	if got := w.Header().Get("X-Request-Id"); got != "req_1" {
		t.Errorf("the library sees the request ID %q", got)
	}
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				w.comment()
			}
		}
	}()
	for range 1000 {
		w.Header().Set("Content-Type", eventStream)
		w.Header().Set("Cache-Control", "no-cache, no-transform")
	}
	close(stop)
	<-ended
	w.comment()
	if got := answer.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
}

// TestMessageWriterContinuesStream checks the response if the protocol library sends an
// error as JSON after a comment has begun the stream.
func TestMessageWriterContinuesStream(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	w := newMessageWriter(answer, time.Minute, func(error) { t.Error("refused") })
	w.comment()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	if n, err := w.Write([]byte(`{"id":1}`)); n != 8 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	const want = ": keep-alive\n\nevent: message\ndata: {\"id\":1}\n\n"
	if got := answer.Body.String(); got != want || answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != eventStream {
		t.Errorf("%d %v: %q", answer.Code, answer.Header(), got)
	}
}
