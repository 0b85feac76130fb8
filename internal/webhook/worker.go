package webhook

import (
	"context"
	"crypto/rand"
	"math/big"
	"net/http"
	"time"

	"github.com/riverqueue/river"

	pyth "github.com/pyth-on/pyth-on"
)

// job is the background job of one delivery.
type job struct {
	ID pyth.DeliveryID `json:"id"`
}

// Kind returns the name of this kind of job.
func (job) Kind() string { return "webhook_delivery" }

// InsertOpts makes jobs unique, so that each delivery has only one job. The Service
// itself counts the attempts of a delivery. Therefore the maximum number of attempts in
// River applies only to attempts that fail because of the store.
func (job) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1000, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// Worker sends deliveries. It implements river.Worker.
type Worker struct {
	river.WorkerDefaults[job]

	service *Service
}

// Worker returns the worker for the background jobs of deliveries.
func (s *Service) Worker() *Worker { return &Worker{service: s} }

const (
	// giveUpAfter is the time after which a delivery fails. However, a delivery has at
	// least minAttempts attempts. Otherwise a clock that jumps ahead, or a server that was
	// off for a day, would end all pending deliveries.
	giveUpAfter = 24 * time.Hour
	// storeTimeout is the time-out for a write that stores the outcome of an attempt.
	storeTimeout = 10 * time.Second
	// retryDelay is the delay after an attempt if the store has failed.
	retryDelay = 10 * time.Second
	// busyDelay is the delay of an attempt if there are too many active deliveries to
	// the same host or of the same user.
	busyDelay = time.Second
)

// delays returns the delays between the attempts of a delivery. The last delay in the
// list applies to all further attempts. The sum of the delays is shorter than
// giveUpAfter.
func delays() []time.Duration {
	return []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour,
	}
}

// minAttempts returns the minimum number of failed attempts before a delivery fails.
func minAttempts() int { return len(delays()) }

// NextRetry returns the time of the next attempt after an error of the store.
func (w *Worker) NextRetry(*river.Job[job]) time.Time {
	return w.service.config.Clock().Add(retryDelay)
}

// Work sends a delivery once. If the receiver does not accept the delivery, the job
// runs again after a delay.
func (w *Worker) Work(ctx context.Context, j *river.Job[job]) error {
	delay, err := w.service.deliver(ctx, j.Args.ID)
	if err == nil && delay > 0 {
		err = river.JobSnooze(delay)
	}
	return err
}

// deliver makes one attempt. It returns the delay until the next attempt. If there will
// be no further attempt, the delay is 0. If deliver returns an error, the outcome of the
// attempt is not stored.
func (s *Service) deliver(ctx context.Context, id pyth.DeliveryID) (time.Duration, error) {
	d, w, err := s.config.Store.Delivery(ctx, id)
	if pyth.ErrorCode(err) == pyth.CodeNotFound {
		return 0, nil // The webhook was deleted.
	}
	if err != nil || d.State != pyth.DeliveryPending {
		return 0, err
	}
	release, ok := s.sender.acquire(w)
	if !ok {
		return jitter(busyDelay), nil
	}
	defer release()
	started := time.Now()
	status, failure := s.attempt(ctx, d, w)
	took := time.Since(started)
	if failure != "" && ctx.Err() != nil {
		return 0, context.Cause(ctx) // The server stops, so do not count a failed attempt.
	}
	now := s.config.Clock()
	d.Attempts++
	d.LastAttemptAt, d.NextAttemptAt = now, time.Time{}
	d.ResponseStatus, d.Error = status, failure
	delay, result := time.Duration(0), ResultDelivered
	if failure == "" {
		d.State = pyth.DeliveryDelivered
	} else {
		result = ResultRetried
		all := delays()
		delay = jitter(all[min(d.Attempts, len(all))-1])
		d.NextAttemptAt = now.Add(delay)
		if status == http.StatusGone || d.Attempts >= minAttempts() && d.NextAttemptAt.Sub(d.CreatedAt) > giveUpAfter {
			d.State, d.NextAttemptAt, delay, result = pyth.DeliveryFailed, time.Time{}, 0, ResultFailed
		}
	}
	s.config.Observer.Attempted(result, took)
	// The receiver may have received the delivery. Therefore store the outcome even if
	// the server is stopping.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return delay, s.config.Store.PutAttempt(ctx, d)
}

// attempt sends the delivery. It returns the status of the response. If there was no
// response, the status is 0. It also returns the reason for which the attempt failed. If
// the attempt succeeded, the reason is "".
func (s *Service) attempt(ctx context.Context, d *pyth.Delivery, w *pyth.SealedWebhook) (status int, failure string) {
	if s.config.Disabled {
		return 0, "the server sends no webhooks, because its programs have no network"
	}
	secret, err := s.config.Vault.Open(ctx, w.User, label(w.ID), w.Sealed)
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "could not decrypt the secret of a webhook", "webhook_id", w.ID, "error", err)
		return 0, "the secret of the webhook could not be decrypted"
	}
	defer clear(secret)
	return s.sender.send(ctx, w.URL, string(secret), d, s.config.Clock())
}

// jitter changes the duration randomly by at most a tenth. Therefore the server does not
// repeat all failed deliveries at the same moment.
func jitter(d time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(d/5)+1))
	if err != nil {
		return d
	}
	return d - d/10 + time.Duration(n.Int64())
}
