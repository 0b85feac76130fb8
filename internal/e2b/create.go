package e2b

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// newSandbox is the body of a request for a sandbox. Clients may send fields that this
// server does not know. They may send null instead of omitting a field.
type newSandbox struct {
	TemplateID          string            `json:"templateID"`
	Timeout             *int64            `json:"timeout"`
	Metadata            map[string]string `json:"metadata"`
	EnvVars             map[string]string `json:"envVars"`
	AllowInternetAccess *bool             `json:"allow_internet_access"`
	Network             *networkSettings  `json:"network"`

	AutoPause  bool `json:"autoPause"`
	AutoResume *struct {
		Enabled bool `json:"enabled"`
	} `json:"autoResume"`
	MCP          json.RawMessage `json:"mcp"`
	IAM          json.RawMessage `json:"iam"`
	VolumeMounts json.RawMessage `json:"volumeMounts"`
}

// networkSettings selects the hosts that a sandbox may connect to.
type networkSettings struct {
	AllowOut           []string        `json:"allowOut,omitempty"`
	DenyOut            []string        `json:"denyOut,omitempty"`
	EgressProxy        json.RawMessage `json:"egressProxy,omitempty"`
	Rules              json.RawMessage `json:"rules,omitempty"`
	AllowPublicTraffic *bool           `json:"allowPublicTraffic,omitempty"`
	MaskRequestHost    string          `json:"maskRequestHost,omitempty"`
}

const (
	// shortTimeout is the time after which a sandbox ends if its client sets no time.
	// longTimeout is this time in the second version of the protocol.
	shortTimeout = 15 * time.Second
	longTimeout  = 5 * time.Minute
	// maxEntries is the maximum number of metadata fields. It is also the maximum number
	// of environment variables.
	maxEntries = 100
	// maxMetadataBytes is the maximum size of a name or a value in the metadata. It is
	// also the maximum size of the name of an environment variable.
	maxMetadataBytes = 4 << 10
)

// templates returns the E2B template names for the built-in image, which does not contain
// the packages of E2B. The first name is the default of the library e2b. The second name
// is the default of the library @e2b/code-interpreter.
func templates() []string { return []string{"base", "code-interpreter-v1"} }

// allTraffic is E2B's name for all addresses.
const allTraffic = "0.0.0.0/0"

// createSandbox returns a handler that creates sandboxes. The parameter is the default
// time-out of a sandbox.
func (s *Server) createSandbox(timeout time.Duration) func(*call) error {
	return func(c *call) error {
		var in newSandbox
		if err := s.readControl(c, &in); err != nil {
			return err
		}
		return s.create(c, &in, timeout)
	}
}

func (s *Server) create(c *call, in *newSandbox, timeout time.Duration) error {
	timeout, err := in.check(timeout)
	if err != nil {
		return err
	}
	runtime, err := s.runtime(in.TemplateID)
	if err != nil {
		return err
	}
	hosts, err := s.hosts(in)
	if err != nil {
		return err
	}
	opened, err := s.config.Sessions.OpenSession(c.r.Context(), c.principal.User.ID, &pyth.SessionRequest{
		Language: pyth.Python, Runtime: runtime, IdleTimeout: maxAge, Network: hosts, AllSecrets: c.principal.Has(pyth.ScopeSecretsRead),
	})
	if err != nil {
		return err
	}
	x := &sandbox{
		id: opened.ID, user: c.principal.User.ID, template: in.TemplateID, metadata: in.Metadata, env: in.EnvVars,
		network: hosts, settings: in.Network, created: s.config.Clock(), secrets: c.principal.Has(pyth.ScopeSecretsRead),
	}
	x.contexts = []*codeContext{newContext(x.id, pyth.Python, home)}
	s.sandboxes.add(x, timeout)
	if err := s.writeCreated(c, x, http.StatusCreated); err != nil {
		return cmp.Or(s.end(context.WithoutCancel(c.r.Context()), x, s.config.Sessions), err)
	}
	return nil
}

// check returns the time-out of the sandbox. It returns an error if the request uses a
// feature that this server does not support.
func (in *newSandbox) check(timeout time.Duration) (time.Duration, error) {
	if in.TemplateID == "" {
		return 0, fail(http.StatusBadRequest, "templateID is required")
	}
	for _, f := range []struct {
		name string
		used bool
	}{
		{"autoPause", in.AutoPause},
		{"autoResume", in.AutoResume != nil && in.AutoResume.Enabled},
		{"mcp", isSet(in.MCP)},
		{"iam", isSet(in.IAM)},
		{"volumeMounts", isSet(in.VolumeMounts)},
	} {
		if f.used {
			return 0, fail(http.StatusBadRequest, "%s is not supported by this server; remove it from the request", f.name)
		}
	}
	if err := checkEntries("metadata", in.Metadata); err != nil {
		return 0, err
	}
	if err := checkEntries("envVars", in.EnvVars); err != nil {
		return 0, err
	}
	if in.Timeout == nil {
		return timeout, nil
	}
	return timeoutOf(*in.Timeout)
}

func checkEntries(field string, entries map[string]string) error {
	if len(entries) > maxEntries {
		return fail(http.StatusBadRequest, "%s has more than %d entries", field, maxEntries)
	}
	for name, value := range entries {
		switch {
		case len(name) > maxMetadataBytes || field == "metadata" && len(value) > maxMetadataBytes:
			return fail(http.StatusBadRequest, "%s has a name or a value of more than %d bytes", field, maxMetadataBytes)
		case field == "metadata":
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0):
			return fail(http.StatusBadRequest, "%s has an invalid name, or a value with the character NUL", field)
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return fail(http.StatusBadRequest, "%s is not UTF-8", field)
		}
	}
	return nil
}

// isSet reports whether a JSON value is set. It returns false if the value is missing,
// null, false or empty.
func isSet(v json.RawMessage) bool {
	switch strings.TrimSpace(string(v)) {
	case "", "null", "{}", "[]", "false":
		return false
	}
	return true
}

// timeoutOf converts a number of seconds.
func timeoutOf(seconds int64) (time.Duration, error) {
	if seconds < 0 || seconds > int64(maxAge/time.Second) {
		return 0, fail(http.StatusBadRequest, "timeout must be between 0 and %d seconds", int64(maxAge/time.Second))
	}
	return time.Duration(seconds) * time.Second, nil
}

// runtime returns the image of a template. The names of custom images are templates too.
func (s *Server) runtime(template string) (pyth.Runtime, error) {
	if slices.Contains(templates(), template) {
		return "", nil
	}
	for _, l := range s.config.Languages {
		if l.Name != pyth.Python {
			continue
		}
		for _, r := range l.Runtimes {
			if string(r.Name) == template {
				return r.Name, nil
			}
		}
	}
	return "", fail(http.StatusNotFound, "template %q not found; this server has the templates %s and the names of its custom images for Python", clip(template), strings.Join(templates(), " and "))
}

// hosts returns the hosts that the sandbox may connect to.
func (s *Server) hosts(in *newSandbox) ([]string, error) {
	denied := in.AllowInternetAccess != nil && !*in.AllowInternetAccess
	n := in.Network
	if n == nil {
		n = &networkSettings{}
	}
	switch {
	case isSet(n.EgressProxy):
		return nil, fail(http.StatusBadRequest, "network.egressProxy is not supported by this server; remove it from the request")
	case isSet(n.Rules):
		return nil, fail(http.StatusBadRequest, "network.rules is not supported by this server; remove it from the request")
	case n.MaskRequestHost != "":
		return nil, fail(http.StatusBadRequest, "network.maskRequestHost is not supported by this server; remove it from the request")
	case n.AllowPublicTraffic != nil && *n.AllowPublicTraffic:
		return nil, fail(http.StatusBadRequest, "network.allowPublicTraffic is not supported by this server; remove it from the request")
	case len(n.DenyOut) > 1 || len(n.DenyOut) == 1 && n.DenyOut[0] != allTraffic:
		return nil, fail(http.StatusBadRequest, "network.denyOut can only be [%q]; list the allowed hosts in network.allowOut", allTraffic)
	case slices.Contains(n.AllowOut, allTraffic):
		return nil, fail(http.StatusBadRequest, "network.allowOut cannot contain %q; list the allowed hosts", allTraffic)
	case len(n.AllowOut) > 0:
		// E2B does the same: programs can connect to the hosts in allowOut, even if the
		// request denies all other hosts.
		return n.AllowOut, nil
	case denied || len(n.DenyOut) > 0:
		return nil, nil
	}
	return s.config.Network, nil
}

// readControl decodes the body of a request to the control plane.
func (s *Server) readControl(c *call, v any) error {
	data, release, err := s.config.Gate.ReadBody(c.w, c.r, maxControlBytes)
	if err != nil {
		return err
	}
	defer release()
	return decode(data, v)
}

// decode decodes JSON from a client.
func decode(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		// Do not repeat the error, because it can contain a part of the body.
		return fail(http.StatusBadRequest, "The body is not JSON, or a field has a wrong type.")
	}
	return nil
}
