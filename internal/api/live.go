package api

import (
	"net/netip"
)

// LiveConfig contains the settings that Reconfigure can change while the Handler
// serves requests.
type LiveConfig struct {
	// RateLimits contains limits on how often callers may send requests. A zero rate
	// means no limit.
	RateLimits RateLimits
	// TrustedProxies contains the addresses of trusted proxies. The server uses the
	// headers X-Forwarded-For and X-Forwarded-Proto only if one of these proxies sent
	// the request.
	TrustedProxies []netip.Prefix
	// Origins contains the origins of pages that may send requests to the API. The value
	// * allows all origins. If Origins is empty, browsers block requests from pages of
	// other origins.
	Origins []string
}

// liveState is the state that depends on a LiveConfig.
type liveState struct {
	LiveConfig
	limits *limiters
}

// Reconfigure changes settings. Current requests may still use the previous settings. If
// the rate limits do not change, earlier requests of a caller still count.
func (h *Handler) Reconfigure(c LiveConfig) {
	next := &liveState{LiveConfig: c}
	if before := h.live.Load(); before != nil && before.RateLimits == c.RateLimits {
		next.limits = before.limits
	} else {
		next.limits = newLimiters(c.RateLimits, h.cfg.SharedLimits, h.cfg.Now)
	}
	h.live.Store(next)
}
