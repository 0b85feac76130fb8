package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// NewControl returns a handler that serves only the administration of users. The handler
// needs no credentials, because it treats every caller as the operator. So only the
// operator may have access to the handler. The links in its responses begin with
// publicURL.
func NewControl(admin pyth.AdminService, publicURL string, logger *slog.Logger) (*Handler, error) {
	if admin == nil || logger == nil {
		return nil, errors.New("api: an AdminService and a Logger are required")
	}
	cfg := Config{Admin: admin, PublicURL: publicURL, Logger: logger}
	setDefaults(&cfg)
	h := newHandler(cfg, body.SmallBytes)
	h.operator = &pyth.Principal{User: pyth.User{Role: pyth.RoleAdmin}, Credential: pyth.CredentialNone}
	h.api = huma.NewAPI(huma.Config{OpenAPI: newOpenAPI()}, nil)
	h.registerAdmin()
	return h, nil
}

// newHandler returns a Handler without operations. The parameter "largest" is the
// maximum size of a body.
func newHandler(cfg Config, largest int64) *Handler {
	h := &Handler{
		cfg:    cfg,
		log:    cfg.Logger,
		now:    cfg.Now,
		mux:    http.NewServeMux(),
		denied: newDenied(cfg.Denials, cfg.Now),
		bodies: body.NewBudget(cfg.RequestMemoryBytes, largest),
	}
	h.Reconfigure(cfg.LiveConfig)
	h.drained, h.stopWaits = context.WithCancel(context.Background())
	h.metrics = newMetrics(append(cfg.Collectors, h.denied.suppressed))
	return h
}
