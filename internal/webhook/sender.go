package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// sendTimeout is the time-out of one attempt. It includes the time to connect and to
	// receive the response.
	sendTimeout = 15 * time.Second
	// maxResponse is the maximum number of bytes that the sender reads of a response. If
	// the response is longer, the sender closes the connection.
	maxResponse = 64 << 10
	// maxPerHost is the maximum number of concurrent deliveries to one host. maxPerUser
	// is the maximum number of concurrent deliveries of one user. With these limits, a
	// slow receiver does not delay the deliveries to other receivers.
	maxPerHost = 2
	maxPerUser = 4
	// maxFailure is the maximum length of the text that says why an attempt failed.
	maxFailure = 300
	userAgent  = "Pyth-On-Webhooks/1"
)

// sender sends signed requests. It is safe for concurrent use.
type sender struct {
	client  *http.Client
	timeout time.Duration

	mu sync.Mutex
	// The field "active" contains the number of active deliveries for each host and for
	// each user. An active delivery is being sent.
	active map[string]int
}

// dialError is an error that Network.DialContext returned.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// newSender returns a sender. The parameter "roots" contains the root certificates that
// verify the certificates of receivers. If it is nil, the sender uses the root
// certificates of this host.
func newSender(network Network, roots *x509.CertPool) *sender {
	return &sender{
		timeout: sendTimeout, active: map[string]int{},
		client: &http.Client{
			// A redirect counts as a failure, because it could lead to another receiver.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext: func(ctx context.Context, kind, address string) (net.Conn, error) {
					conn, err := network.DialContext(ctx, kind, address)
					if err != nil {
						return nil, dialError{err}
					}
					return conn, nil
				},
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
				TLSHandshakeTimeout:    sendTimeout,
				ForceAttemptHTTP2:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxResponse,
				MaxIdleConns:           32,
				MaxIdleConnsPerHost:    maxPerHost,
				IdleConnTimeout:        30 * time.Second,
			},
		},
	}
}

// acquire adds a delivery of the webhook to the active deliveries. If there are too many
// active deliveries, it returns false. If it returns true, the caller must call release
// after the delivery.
func (s *sender) acquire(w *pyth.SealedWebhook) (release func(), ok bool) {
	host := w.URL
	if u, err := url.Parse(w.URL); err == nil {
		host = address(u)
	}
	host, user := "host "+host, "user "+string(w.User)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[host] >= maxPerHost || s.active[user] >= maxPerUser {
		return nil, false
	}
	s.active[host]++
	s.active[user]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, key := range []string{host, user} {
			if s.active[key]--; s.active[key] == 0 {
				delete(s.active, key)
			}
		}
	}, true
}

// send sends the delivery to the URL. It returns the status of the response. If there
// was no response, the status is 0. It also returns the reason for which the receiver
// did not accept the delivery. If the receiver accepted the delivery, the reason is "".
func (s *sender) send(ctx context.Context, target, secret string, d *pyth.Delivery, at time.Time) (status int, failure string) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return 0, "the secret of the webhook is damaged"
	}
	signature, err := signer.Sign(string(d.ID), at, d.Payload)
	if err != nil {
		return 0, "the delivery could not be signed"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(d.Payload))
	if err != nil {
		return 0, "the URL of the webhook is not valid"
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"},
		"User-Agent":   {userAgent},
	}
	r.Header.Set(standardwebhooks.HeaderWebhookID, string(d.ID))
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	res, err := s.client.Do(r)
	if err != nil {
		return 0, explain(err)
	}
	defer res.Body.Close()
	// Read a short response, so that the connection can be used again. Ignore errors of
	// this read, because the status alone shows whether the receiver has accepted the
	// delivery.
	_, _ = io.CopyN(io.Discard, res.Body, maxResponse)
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return res.StatusCode, ""
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return res.StatusCode, fmt.Sprintf("the receiver responded with the status %d; redirects are not followed", res.StatusCode)
	default:
		return res.StatusCode, fmt.Sprintf("the receiver responded with the status %d", res.StatusCode)
	}
}

// explain returns a message for the user that says why a request failed. The message
// contains no text from the receiver, except names in certificates.
func explain(err error) string {
	message := "the connection ended without a valid HTTP response"
	invalid, isInvalid := errors.AsType[*tls.CertificateVerificationError](err)
	dial, isDial := errors.AsType[dialError](err)
	network, isNetwork := errors.AsType[net.Error](err)
	switch {
	case isDial && dial.error != nil && !errors.Is(err, context.DeadlineExceeded):
		message = dial.Error()
	case isInvalid:
		message = "the certificate of the receiver is not valid: " + invalid.Err.Error()
	case errors.Is(err, context.DeadlineExceeded), isNetwork && network.Timeout():
		message = fmt.Sprintf("the receiver did not respond within %d seconds", int(sendTimeout.Seconds()))
	}
	if len(message) > maxFailure {
		message = message[:maxFailure]
	}
	return message
}
