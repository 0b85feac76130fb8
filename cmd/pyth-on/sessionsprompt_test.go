package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/client"
)

// newTestPrompt returns a prompt with a session on a fake server. The server calls the
// function "during" in each run. When the server receives an interrupt, it sends a
// value to the channel "interrupted".
func newTestPrompt(t *testing.T, during func(interrupted <-chan struct{})) *prompt {
	t.Helper()
	interrupted := make(chan struct{}, 8)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/interrupt"):
			interrupted <- struct{}{}
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/stream"):
			during(interrupted)
			_, _ = io.WriteString(w, "id: 1\nevent: end\ndata: {\"status\":\"succeeded\"}\n\n")
		default:
			_, _ = io.WriteString(w, `{"id": "ses_1", "language": "python"}`)
		}
	}))
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, client.WithAPIKey("pyapi_test"))
	if err != nil {
		t.Fatal(err)
	}
	session, err := c.Session(t.Context(), "ses_1")
	if err != nil {
		t.Fatal(err)
	}
	return &prompt{session: session}
}

func TestPromptInterruptsOnlyTheRunningStatement(t *testing.T) {
	signals := make(chan os.Signal, 1)
	p := newTestPrompt(t, func(interrupted <-chan struct{}) {
		select {
		case <-interrupted:
			t.Error("an earlier SIGINT interrupted the statement")
		case <-time.After(200 * time.Millisecond):
		}
		signals <- syscall.SIGINT
		<-interrupted
	})
	signals <- syscall.SIGINT
	if err := p.run(t.Context(), "1", signals); err != nil {
		t.Fatal(err)
	}
}

func TestPromptEndsWithItsContext(t *testing.T) {
	p := newTestPrompt(t, func(<-chan struct{}) { t.Error("the prompt ran a statement") })
	in, out := io.Pipe()
	t.Cleanup(func() { _ = out.Close() })
	p.in = bufio.NewReader(in)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := p.loop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
