package account

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxQueuedMails is the maximum number of requests for a mail in one queue.
	maxQueuedMails = 100
	// mailTimeout limits the time to send one mail.
	mailTimeout = time.Minute
)

// mailQueue sends mails in the background, one after the other. Therefore a caller
// cannot learn from the duration of a request whether an account exists. It is safe for
// concurrent use.
type mailQueue struct {
	// The field "content" names the content of the mails in log messages.
	content string
	logger  *slog.Logger
	emails  chan string
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// newMailQueue returns a running queue. The caller closes it. For each request, the queue
// calls the function "send" with the e-mail address.
func newMailQueue(content string, logger *slog.Logger, send func(ctx context.Context, email string) error) *mailQueue {
	ctx, stop := context.WithCancel(context.Background())
	q := &mailQueue{content: content, logger: logger, emails: make(chan string, maxQueuedMails), stop: stop}
	q.done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case email := <-q.emails:
				if err := sendInTime(ctx, email, send); err != nil {
					logger.Error(content+" not mailed", "error", err)
				}
			}
		}
	})
	return q
}

func sendInTime(ctx context.Context, email string, send func(ctx context.Context, email string) error) error {
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	return send(ctx, email)
}

// Request mails a token to the account with the address, if the account needs the mail.
// It does not wait for the mail. If the queue is full, it drops this request.
func (q *mailQueue) Request(email string) {
	select {
	case q.emails <- email:
	default:
		q.logger.Warn("mail queue is full: dropped a request for a "+q.content, "waiting", maxQueuedMails)
	}
}

// Close cancels the mail that is being sent, and drops all queued requests.
func (q *mailQueue) Close() error {
	q.stop()
	q.done.Wait()
	return nil
}
