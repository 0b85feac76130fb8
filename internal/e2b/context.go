package e2b

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
)

// maxContexts limits the contexts of one sandbox, including the default context. The
// limit on the sessions of a user also applies, because each context is a session.
const maxContexts = 10

// codeContext is an interpreter that keeps its variables between runs. The default
// context of a sandbox is the session of the sandbox. Each other context is a separate
// session.
type codeContext struct {
	id       string
	language pyth.Language
	// cwd is the working directory, as the client sees it.
	cwd string
	// The field "standard" is true if the context serves requests that name a language
	// but no context.
	standard bool
	// The field "count" is the number of runs that have begun.
	count *atomic.Int64

	// The mutex of the sandbox guards the field "session".
	session pyth.SessionID
}

// contextInfo describes a context for the client.
type contextInfo struct {
	ID       string `json:"id"`
	Language string `json:"language"`
	CWD      string `json:"cwd"`
}

func newContext(session pyth.SessionID, language pyth.Language, cwd string) *codeContext {
	return &codeContext{id: uuid.NewString(), language: language, cwd: cwd, session: session, count: new(atomic.Int64)}
}

func (c *codeContext) info() contextInfo {
	return contextInfo{ID: c.id, Language: string(c.language), CWD: c.cwd}
}

// allContexts returns a copy of the contexts. A later change of a context does not
// change the copy.
func (x *sandbox) allContexts() []*codeContext {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]*codeContext, len(x.contexts))
	for i, c := range x.contexts {
		one := *c
		all[i] = &one
	}
	return all
}

// context returns a copy of a context. The ID "default" names the default context.
func (x *sandbox) context(id string) (*codeContext, error) {
	all := x.allContexts()
	i := slices.IndexFunc(all, func(c *codeContext) bool { return c.id == id })
	switch {
	case i >= 0:
		return all[i], nil
	case id == "default" && len(all) > 0:
		return all[0], nil
	}
	return nil, fail(http.StatusNotFound, "Context %s not found", clip(id))
}

func (x *sandbox) removeContext(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.contexts = slices.DeleteFunc(x.contexts, func(c *codeContext) bool { return c.id == id })
}

// replaceSession replaces the session of a context, and returns the session that the
// caller must close. This is the previous session or, if the context no longer exists,
// the new session.
func (x *sandbox) replaceSession(c *codeContext, session pyth.SessionID) pyth.SessionID {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, own := range x.contexts {
		if own.id == c.id {
			own.session, session = session, own.session
			own.count.Store(0)
			return session
		}
	}
	return session
}

// addContext adds a context. It fails if the sandbox has ended or has the maximum number
// of contexts.
func (x *sandbox) addContext(c *codeContext) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return fail(http.StatusBadGateway, "The sandbox was not found")
	}
	if len(x.contexts) >= maxContexts {
		return fail(http.StatusTooManyRequests, "The sandbox has the maximum number of %d contexts. Remove one first.", maxContexts)
	}
	x.contexts = append(x.contexts, c)
	return nil
}

// contextFor returns the context in which the code of a request runs. It opens the
// context of a language at the first request that names the language.
func (s *Server) contextFor(ctx context.Context, a *access, in *executeRequest) (*codeContext, error) {
	if in.ContextID != "" {
		return a.context(in.ContextID)
	}
	language, err := s.language(in.Language)
	if err != nil {
		return nil, err
	}
	all := a.allContexts()
	if len(all) == 0 {
		return nil, fail(http.StatusBadGateway, "The sandbox was not found")
	}
	if language == pyth.Python {
		return all[0], nil
	}
	if i := slices.IndexFunc(all, func(c *codeContext) bool { return c.standard && c.language == language }); i >= 0 {
		return all[i], nil
	}
	return s.openStandard(ctx, a, language)
}

// openStandard opens the context of a language. If two requests do this at the same time,
// both use the same context.
func (s *Server) openStandard(ctx context.Context, a *access, language pyth.Language) (*codeContext, error) {
	a.opening.Lock()
	defer a.opening.Unlock()
	for _, c := range a.allContexts() {
		if c.standard && c.language == language {
			return c, nil
		}
	}
	c, err := s.addSession(ctx, a, language, "", true)
	return c, err
}

// openContext opens a context for requests that contain the ID of this context.
func (s *Server) openContext(ctx context.Context, a *access, language pyth.Language, cwd string) (*codeContext, error) {
	return s.addSession(ctx, a, language, cwd, false)
}

func (s *Server) addSession(ctx context.Context, a *access, language pyth.Language, cwd string, standard bool) (*codeContext, error) {
	if cwd == "" {
		cwd = home
	}
	if len(a.allContexts()) >= maxContexts {
		// Check this before the session is opened, because opening a session is the most
		// expensive step.
		return nil, fail(http.StatusTooManyRequests, "The sandbox has the maximum number of %d contexts. Remove one first.", maxContexts)
	}
	session, err := s.openSession(ctx, a, language, cwd)
	if err != nil {
		return nil, err
	}
	c := newContext(session, language, cwd)
	c.standard = standard
	shown := *c
	if err := a.addContext(c); err != nil {
		// Ignore the error, because the idle time-out ends the session later.
		_ = s.config.Sessions.CloseSession(context.WithoutCancel(ctx), a.user, session)
		return nil, err
	}
	return &shown, nil
}

// openSession opens the session of a context and changes its working directory.
func (s *Server) openSession(ctx context.Context, a *access, language pyth.Language, cwd string) (pyth.SessionID, error) {
	secrets := a.secrets && a.principal.Has(pyth.ScopeSecretsRead)
	opened, err := s.config.Sessions.OpenSession(ctx, a.user, &pyth.SessionRequest{
		Language: language, IdleTimeout: maxAge, Network: a.network, AllSecrets: secrets,
	})
	if err != nil {
		return "", err
	}
	if err := s.changeDirectory(ctx, a, opened.ID, language, cwd); err != nil {
		// Ignore this error. The caller receives the first error, which is the cause.
		_ = s.config.Sessions.CloseSession(context.WithoutCancel(ctx), a.user, opened.ID)
		return "", err
	}
	return opened.ID, nil
}

// changeDirectory creates the working directory of a new context and makes it the current
// directory of the session.
func (s *Server) changeDirectory(ctx context.Context, a *access, session pyth.SessionID, language pyth.Language, cwd string) error {
	dir, err := inside(cwd)
	if err != nil {
		return err
	}
	if dir == workDir {
		return nil
	}
	code := "(d => { require('fs').mkdirSync(d, {recursive: true}); process.chdir(d) })(" + quote(dir) + ")"
	switch language {
	case pyth.Python:
		code = "(lambda os, d: (os.makedirs(d, exist_ok=True), os.chdir(d)))(__import__('os'), " + quote(dir) + ")"
	case "bash":
		quoted := "'" + strings.ReplaceAll(dir, "'", `'\''`) + "'"
		code = "mkdir -p -- " + quoted + " && cd -- " + quoted
	}
	run, err := s.config.Executions.Execute(ctx, a.user, &pyth.Program{Session: session, Code: code}, nil)
	if err != nil {
		return err
	}
	if run.Status != pyth.StatusSucceeded {
		return fail(http.StatusBadRequest, "Failed to set working directory")
	}
	return nil
}
