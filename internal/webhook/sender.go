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
	// sendTimeout is the time-out of one attempt, from the connection to the response.
	sendTimeout = 15 * time.Second
	// maxResponse is the maximum number of bytes of a response that the sender reads.
	// For a longer response, the sender closes the connection.
	maxResponse = 64 << 10
	// maxPerHost and maxPerUser are the maximum numbers of concurrent deliveries to one
	// host and of one user. With these limits, a slow receiver does not delay the
	// deliveries to other receivers.
	maxPerHost = 2
	maxPerUser = 4
	// maxFailure is the maximum length of the reason of a failure.
	maxFailure = 300
	userAgent  = "Pyth-On-Webhooks/1"
)

// sender sends signed requests. It is safe for concurrent use.
type sender struct {
	client  *http.Client
	timeout time.Duration

	mu sync.Mutex
	// The field "active" contains the number of deliveries that are being sent, by host
	// and by user.
	active map[string]int
}

// dialError is an error of Network.DialContext.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// newSender returns a sender. The roots verify certificates; nil means the roots of
// this host.
func newSender(network Network, roots *x509.CertPool) *sender {
	return &sender{
		timeout: sendTimeout, active: map[string]int{},
		client: &http.Client{
			// A redirect could lead to another receiver, so it is a failure.
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

// acquire adds a delivery of the webhook to the active deliveries. It returns false if
// there are too many active deliveries. The caller calls release after the delivery.
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

// send sends the delivery to the URL. It returns the status of the response; 0 if there
// was no response. It also returns why the receiver did not accept the delivery; "" if
// the receiver accepted it.
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
	// Read a short response, so that the connection can be used again. Only the status
	// says whether the receiver has accepted the delivery, so ignore errors.
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

// explain returns why a request failed, for the user. It contains no text of the
// receiver except names in certificates.
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
