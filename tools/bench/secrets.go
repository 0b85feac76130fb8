package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

// secretsOfATenant is the number of secrets that each run of a tenant with secrets
// receives.
const secretsOfATenant = 20

// registerWithSecrets creates an account and stores secrets in this account. The number
// of secrets is secretsOfATenant.
func (a *api) registerWithSecrets(ctx context.Context) (*account, error) {
	tenant, err := a.register(ctx)
	if err != nil {
		return nil, err
	}
	for i := range secretsOfATenant {
		var stored map[string]any
		body := map[string]string{"value": "sk-" + rand.Text() + rand.Text()}
		if _, err := tenant.call(ctx, http.MethodPut, fmt.Sprintf("/api/v1/secrets/SECRET_%d", i), body, http.StatusCreated, &stored); err != nil {
			return nil, err
		}
	}
	return tenant, nil
}

// redaction returns an operation that searches 1 MB of log output for 200 secrets and
// replaces them. The measured time includes the creation of the redactor.
func redaction() operation {
	secrets := make([]pyth.SecretValue, 200)
	for i := range secrets {
		secrets[i] = pyth.SecretValue{Name: fmt.Sprintf("SECRET_%d", i), Value: []byte("sk-" + rand.Text() + rand.Text())}
	}
	var log bytes.Buffer
	for i := 0; log.Len() < 1e6; i++ {
		fmt.Fprintf(&log, "2026-04-04T08:23:21Z INFO request %d took %d ms\n", i, i%97)
		if i%1000 == 0 {
			log.Write(secrets[i/1000%len(secrets)].Value)
		}
	}
	return func(context.Context) (time.Duration, error) {
		start := time.Now()
		if _, n := redact.New(secrets).Text(log.Bytes()); n == 0 {
			return 0, fmt.Errorf("redaction found no secret")
		}
		return time.Since(start), nil
	}
}
