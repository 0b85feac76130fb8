package e2b

import (
	"net/http"
	"time"
)

// setTimeout sets the time at which the sandbox ends. The new time may be earlier than
// the previous time.
func (s *Server) setTimeout(c *call, x *sandbox) error {
	timeout, err := s.readTimeout(c)
	if err != nil {
		return err
	}
	s.sandboxes.setEnd(x, s.config.Clock().Add(timeout))
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// connectSandbox returns the access tokens of the sandbox. It can only move the end of
// the sandbox to a later time.
func (s *Server) connectSandbox(c *call, x *sandbox) error {
	timeout, err := s.readTimeout(c)
	if err != nil {
		return err
	}
	s.extend(x, timeout)
	return s.writeCreated(c, x, http.StatusOK)
}

// readTimeout reads a body with a required time-out.
func (s *Server) readTimeout(c *call) (time.Duration, error) {
	var in struct {
		Timeout *int64 `json:"timeout"`
	}
	if err := s.readControl(c, &in); err != nil {
		return 0, err
	}
	if in.Timeout == nil {
		return 0, fail(http.StatusBadRequest, "timeout is required")
	}
	return timeoutOf(*in.Timeout)
}

// connectSandboxV2 is like connectSandbox, but has a default time-out and an optional
// body.
func (s *Server) connectSandboxV2(c *call, x *sandbox) error {
	in := struct {
		Timeout *int64 `json:"timeout"`
	}{}
	if c.r.ContentLength != 0 {
		if err := s.readControl(c, &in); err != nil {
			return err
		}
	}
	timeout := longTimeout
	if in.Timeout != nil {
		var err error
		if timeout, err = timeoutOf(*in.Timeout); err != nil {
			return err
		}
	}
	s.extend(x, timeout)
	return s.writeCreated(c, x, http.StatusOK)
}

const (
	// defaultRefresh is the duration of a refresh if the request contains no duration.
	// maxRefresh is the maximum duration.
	defaultRefresh = time.Minute
	maxRefresh     = time.Hour
)

// refreshSandbox moves the end of the sandbox to a later time.
func (s *Server) refreshSandbox(c *call, x *sandbox) error {
	var in struct {
		Duration *int64 `json:"duration"`
	}
	if c.r.ContentLength != 0 {
		if err := s.readControl(c, &in); err != nil {
			return err
		}
	}
	duration := defaultRefresh
	if in.Duration != nil {
		if *in.Duration < 0 || *in.Duration > int64(maxRefresh/time.Second) {
			return fail(http.StatusBadRequest, "duration must be between 0 and %d seconds", int64(maxRefresh/time.Second))
		}
		duration = time.Duration(*in.Duration) * time.Second
	}
	s.extend(x, duration)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) extend(x *sandbox, timeout time.Duration) {
	if at := s.config.Clock().Add(timeout); at.After(x.end()) {
		s.sandboxes.setEnd(x, at)
	}
}
