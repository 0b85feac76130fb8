package e2b

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// maxListed is the default and the maximum number of sandboxes in one response.
const maxListed = 100

// filter selects sandboxes for a list.
type filter struct {
	metadata     map[string]string
	template     string
	startedAfter time.Time
	// The field "none" is true if the filter asks only for paused sandboxes, which do not
	// exist.
	none  bool
	asc   bool
	limit int
	// The field "after" is the ID of the last sandbox of the previous page.
	after string
}

// listSandboxes lists the sandboxes of the caller, newest first unless the query asks
// for another order.
func (s *Server) listSandboxes(c *call) error {
	f, err := newFilter(c.r.URL.Query())
	if err != nil {
		return err
	}
	found := s.listed(c.r.Context(), c.principal.User.ID, f)
	total := len(found)
	if f.after != "" {
		found = slices.DeleteFunc(found, func(x *sandbox) bool { return f.asc == (string(x.id) <= f.after) || string(x.id) == f.after })
	}
	if len(found) > f.limit {
		found = found[:f.limit]
		c.w.Header().Set("X-Next-Token", string(found[f.limit-1].id))
	}
	c.w.Header().Set("X-Total-Running", strconv.Itoa(total))
	out := make([]sandboxInfo, len(found))
	for i, x := range found {
		out[i] = s.info(x)
	}
	writeJSON(c.w, http.StatusOK, out)
	return nil
}

// listed returns all sandboxes of the user that the filter selects.
func (s *Server) listed(ctx context.Context, user pyth.UserID, f *filter) []*sandbox {
	if f.none {
		return nil
	}
	found := s.sandboxes.list(func(x *sandbox) bool { return x.user == user && f.matches(x) })
	found = slices.DeleteFunc(found, func(x *sandbox) bool { return !s.alive(ctx, x) })
	if !f.asc {
		slices.Reverse(found)
	}
	return found
}

func (f *filter) matches(x *sandbox) bool {
	for name, value := range f.metadata {
		if got, ok := x.metadata[name]; !ok || got != value {
			return false
		}
	}
	return (f.template == "" || f.template == x.template) && !x.created.Before(f.startedAfter)
}

func newFilter(q url.Values) (*filter, error) {
	f := &filter{template: q.Get("template"), after: q.Get("nextToken"), limit: maxListed, asc: q.Get("order") == "asc"}
	if order := q.Get("order"); order != "" && order != "asc" && order != "desc" {
		return nil, fail(http.StatusBadRequest, "order must be asc or desc")
	}
	if limit := q.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > maxListed {
			return nil, fail(http.StatusBadRequest, "limit must be between 1 and %d", maxListed)
		}
		f.limit = n
	}
	if after := q.Get("startedAfter"); after != "" {
		at, err := time.Parse(time.RFC3339Nano, after)
		if err != nil {
			return nil, fail(http.StatusBadRequest, "startedAfter must be a time, for example 2026-04-04T08:23:21Z")
		}
		f.startedAfter = at
	}
	// Clients send the states as one list or as several parameters.
	if states := q["state"]; len(states) > 0 && strings.Join(states, "") != "" {
		f.none = !slices.Contains(strings.Split(strings.Join(states, ","), ","), stateRunning)
	}
	var err error
	f.metadata, err = metadataFilter(q.Get("metadata"))
	return f, err
}

// metadataFilter decodes the query parameter "metadata", which is a query string. In this
// query string, names and values are percent-encoded twice.
func metadataFilter(text string) (map[string]string, error) {
	pairs, err := url.ParseQuery(text)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "metadata must have the form name=value&name=value, percent-encoded")
	}
	wanted := make(map[string]string, len(pairs))
	for name, values := range pairs {
		wanted[unescape(name)] = unescape(values[0])
	}
	return wanted, nil
}

// unescape decodes percent-encoded text. It returns all other text unchanged.
func unescape(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}
