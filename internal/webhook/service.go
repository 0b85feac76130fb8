// Package webhook sends events of runs to the URLs of users. It implements the
// specification Standard Webhooks.
//
// The store creates a delivery in the same transaction in which it stores the event. A
// Service creates a background job for each delivery. The job sends the delivery. If
// this fails, the job tries again for a day. Therefore no delivery is lost if the server
// is killed. However, a receiver can get the same delivery more than once. The ID of the
// delivery is then the same.
package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/riverqueue/river"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// Vault encrypts and decrypts secrets. vault.Vault implements it.
type Vault interface {
	Seal(ctx context.Context, user pyth.UserID, label vault.Label, plaintext []byte) ([]byte, error)
	Open(ctx context.Context, user pyth.UserID, label vault.Label, sealed []byte) ([]byte, error)
}

// Network connects to the receivers. egress.Proxy implements it.
type Network interface {
	// CheckAddress returns an error if the server can never reach host:port. The text of
	// the error is for the user.
	CheckAddress(address string) error
	// DialContext connects to host:port. It connects only to addresses that programs in
	// sandboxes may also reach. The text of an error is for the user.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Config configures a Service. All fields except Disabled and MaxPerUser are required.
type Config struct {
	Store   pyth.WebhookStore
	Vault   Vault
	Network Network
	// Insert stores a background job. The worker from the method Worker executes the
	// job.
	Insert func(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) error
	Clock  func() time.Time
	Logger *slog.Logger
	// Disabled turns off webhooks. Then users cannot create webhooks, and the server
	// sends no deliveries.
	Disabled bool
	// MaxPerUser is the maximum number of webhooks of a user. Zero means 20.
	MaxPerUser int
	// Observer receives the results of attempts to send deliveries. If Observer is nil,
	// the Service ignores these results.
	Observer Observer
}

// Observer receives the events of a Service. Its methods must not block.
type Observer interface {
	// Attempted reports an attempt to send a delivery. The parameter "took" is the time
	// between the start of the attempt and the response of the receiver.
	Attempted(result string, took time.Duration)
}

// These constants are the results of attempts: the receiver accepted the delivery, the
// Service will try again, or the Service gives up.
const (
	ResultDelivered = "delivered"
	ResultRetried   = "retried"
	ResultFailed    = "failed"
)

// Results returns all possible results of attempts.
func Results() []string { return []string{ResultDelivered, ResultRetried, ResultFailed} }

type discardAttempts struct{}

func (discardAttempts) Attempted(string, time.Duration) {}

// Service implements pyth.WebhookService. It is safe for concurrent use.
type Service struct {
	config Config
	sender *sender
	wake   chan struct{}
}

var _ pyth.WebhookService = (*Service)(nil)

// New returns a Service. Call Run to start sending deliveries.
func New(c Config) *Service {
	if c.MaxPerUser == 0 {
		c.MaxPerUser = 20
	}
	if c.Observer == nil {
		c.Observer = discardAttempts{}
	}
	return &Service{config: c, sender: newSender(c.Network, nil), wake: make(chan struct{}, 1)}
}

const (
	secretPrefix = "whsec_"
	secretBytes  = 32
	// maxURL is the maximum length of a URL in bytes.
	maxURL = 2048
)

func label(id pyth.WebhookID) vault.Label {
	return vault.Label{Kind: "webhook", Name: string(id), Version: 1}
}

// CreateWebhook creates a webhook that receives events of all runs of the user.
func (s *Service) CreateWebhook(ctx context.Context, user pyth.UserID, target string, events []pyth.WebhookEvent) (*pyth.Webhook, string, error) {
	return s.create(ctx, user, "body.", target, events, "")
}

// CreateExecutionWebhook creates a webhook that receives events of one run.
func (s *Service) CreateExecutionWebhook(ctx context.Context, user pyth.UserID, run pyth.ExecutionID, target string, events []pyth.WebhookEvent) (*pyth.Webhook, string, error) {
	return s.create(ctx, user, "body.webhook.", target, events, run)
}

// create stores a webhook. The parameter "location" is the first part of the locations
// of invalid fields.
func (s *Service) create(ctx context.Context, user pyth.UserID, location, target string, events []pyth.WebhookEvent, run pyth.ExecutionID) (*pyth.Webhook, string, error) {
	if s.config.Disabled {
		return nil, "", pyth.Errorf(pyth.CodeForbidden, "This server sends no webhooks, because its programs have no network. Read the state of runs instead, or ask the operator.")
	}
	if err := s.checkURL(location+"url", target); err != nil {
		return nil, "", err
	}
	events, err := checkEvents(location+"events", events)
	if err != nil {
		return nil, "", err
	}
	now := s.config.Clock()
	w := &pyth.SealedWebhook{Webhook: pyth.Webhook{
		ID: pyth.WebhookID("whk_" + pyth.NewExecutionID(now)), User: user, URL: target, Events: events, Execution: run,
		CreatedAt: now.UTC().Truncate(time.Microsecond),
	}}
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // Read never fails.
	secret := secretPrefix + base64.StdEncoding.EncodeToString(key)
	if w.Sealed, err = s.config.Vault.Seal(ctx, user, label(w.ID), []byte(secret)); err != nil {
		return nil, "", err
	}
	err = s.config.Store.CreateWebhook(ctx, w, s.config.MaxPerUser)
	if pyth.ErrorCode(err) == pyth.CodeConflict {
		err = pyth.Errorf(pyth.CodeQuotaExceeded, "You have reached the maximum of %d webhooks. Delete a webhook first.", s.config.MaxPerUser)
	}
	if err != nil {
		return nil, "", err
	}
	return &w.Webhook, secret, nil
}

// checkURL returns an error if the server can never send a delivery to the URL.
func (s *Service) checkURL(location, target string) error {
	u, err := url.Parse(target)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		// Do not use the text of err, because it contains the URL.
		return pyth.Invalid(location, "must be an absolute URL that begins with https:// or http://")
	case len(target) > maxURL:
		return pyth.Invalid(location, "must have at most %d bytes", maxURL)
	case u.User != nil:
		return pyth.Invalid(location, "must not contain a user name or a password. Instead, the receiver checks the signature of the delivery")
	case u.Fragment != "":
		return pyth.Invalid(location, "must not contain a fragment")
	}
	if err := s.config.Network.CheckAddress(address(u)); err != nil {
		return pyth.Invalid(location, "must have a host that programs may connect to: %v", err)
	}
	return nil
}

// address returns the host and port of a URL in the form host:port.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// checkEvents returns the events without duplicates, in the order of pyth.WebhookEvents.
// If the list of events is empty, checkEvents returns EventExecutionEnded.
func checkEvents(location string, events []pyth.WebhookEvent) ([]pyth.WebhookEvent, error) {
	if len(events) == 0 {
		return []pyth.WebhookEvent{pyth.EventExecutionEnded}, nil
	}
	all := pyth.WebhookEvents()
	for i, e := range events {
		if !slices.Contains(all, e) {
			return nil, pyth.Invalid(location, "has an unknown event at index %d", i)
		}
	}
	return slices.DeleteFunc(all, func(e pyth.WebhookEvent) bool { return !slices.Contains(events, e) }), nil
}

// Webhooks returns the user's webhooks, oldest first.
func (s *Service) Webhooks(ctx context.Context, user pyth.UserID) ([]*pyth.Webhook, error) {
	return s.config.Store.Webhooks(ctx, user)
}

// DeleteWebhook deletes a webhook and its deliveries.
func (s *Service) DeleteWebhook(ctx context.Context, user pyth.UserID, id pyth.WebhookID) error {
	return s.config.Store.DeleteWebhook(ctx, user, id)
}

// Deliveries returns the deliveries of a webhook, newest first.
func (s *Service) Deliveries(ctx context.Context, user pyth.UserID, id pyth.WebhookID, before pyth.DeliveryID, limit int) ([]*pyth.Delivery, error) {
	return s.config.Store.Deliveries(ctx, user, id, before, limit)
}

// Quotas returns the maximum number of webhooks of the user.
func (s *Service) Quotas(ctx context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	all, err := s.config.Store.Webhooks(ctx, user)
	if err != nil {
		return nil, err
	}
	return []pyth.Quota{{Name: pyth.QuotaWebhooks, Limit: int64(s.config.MaxPerUser), Used: int64(len(all))}}, nil
}
