package mcp

import (
	"context"
	"sync"
	"time"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// progressInterval is the minimum time between two notifications about new output.
	progressInterval = 250 * time.Millisecond
	// quietInterval is the time after which the client gets a notification even if the
	// program prints nothing. Many clients end a call that shows no progress for a
	// minute.
	quietInterval = 10 * time.Second
	// progressText is the maximum number of bytes of output in one notification.
	progressText = 1000
	// maxProgressToken is the maximum number of bytes of a token. Each notification repeats
	// the token, so with a long token, a short request would cause much traffic.
	maxProgressToken = 256
)

// progress sends the progress of a call to the client. The value of the progress is the
// duration of the call in seconds, and the message is the newest output. If the client
// has not asked for progress, progress does nothing. It is safe for concurrent use.
type progress struct {
	session *sdk.ServerSession
	token   any
	start   time.Time

	mu     sync.Mutex
	latest string
	sent   time.Time
}

// watch starts to report the progress of a call. The caller must call "stop", which
// waits until no further notification can follow.
func (c *call) watch(ctx context.Context) (p *progress, stop func()) {
	p = &progress{session: c.request.Session, start: time.Now()}
	if c.request.Params != nil {
		p.token = progressToken(c.request.Params.GetProgressToken())
	}
	if p.token == nil {
		return p, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				p.flush(ctx)
			}
		}
	})
	return p, func() {
		cancel()
		done.Wait()
	}
}

// progressToken returns the token if the protocol allows its type and if it is not too
// long. Otherwise it returns nil, and the client gets no progress.
func progressToken(token any) any {
	switch token := token.(type) {
	case float64:
		return token
	case string:
		if len(token) <= maxProgressToken {
			return token
		}
	}
	return nil
}

// add stores new output for the next notification. If there is much output, only the
// end of the output is sent.
func (p *progress) add(text string) {
	if p.token == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = tail(p.latest+text, progressText)
}

// flush sends a notification if there is new output, or if the last notification is
// old.
func (p *progress) flush(ctx context.Context) {
	p.mu.Lock()
	message, now := p.latest, time.Now()
	if message == "" && now.Sub(p.sent) < quietInterval {
		p.mu.Unlock()
		return
	}
	p.latest, p.sent = "", now
	p.mu.Unlock()
	// Ignore errors, because the call ends anyway if the client has disconnected.
	_ = p.session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
		ProgressToken: p.token, Progress: now.Sub(p.start).Seconds(), Message: message,
	})
}

// tail returns the end of the text, with at most the given number of bytes. It does not
// split a character.
func tail(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	for text != "" && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return text
}
