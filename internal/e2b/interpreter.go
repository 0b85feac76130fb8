package e2b

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

const trafficTokenHeader = "E2b-Traffic-Access-Token"

// maxExecuteBytes is the maximum size of a request to run code. A byte of code may need
// six bytes in JSON, because it can be escaped as \u00XX.
const maxExecuteBytes = 6*pyth.MaxCodeBytes + 1<<20

// interpreterRoutes returns the routes of the interpreter.
func (s *Server) interpreterRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, "OK") })
	mux.HandleFunc("POST /execute", s.handleText(s.execute))
	mux.HandleFunc("GET /contexts", s.handleText(s.listContexts))
	mux.HandleFunc("POST /contexts", s.handleText(s.createContext))
	mux.HandleFunc("DELETE /contexts/{id}", s.handleText(s.removeContext))
	mux.HandleFunc("POST /contexts/{id}/restart", s.handleText(s.restartContext))
	return mux
}

// serveInterpreter serves a request to the interpreter of a sandbox. Some calls of the
// clients send only one of the two tokens.
func (s *Server) serveInterpreter(w http.ResponseWriter, r *http.Request, id string) {
	envd, traffic := r.Header.Values(envdTokenHeader), r.Header.Values(trafficTokenHeader)
	if len(envd) > 1 || len(traffic) > 1 || len(envd)+len(traffic) == 0 {
		s.refuseText(w, r, errNoToken(envdTokenHeader))
		return
	}
	x := s.sandboxes.get(id)
	var g *grant
	if x != nil {
		g = x.find(func(g *grant) bool {
			// If a request has both tokens, both must be right.
			return (len(envd) == 0 || equal(g.envd, envd[0])) && (len(traffic) == 0 || equal(g.traffic, traffic[0]))
		})
	}
	if g == nil {
		refuseGone(w, id)
		return
	}
	admitted, ok := s.admit(w, r, x, g, s.refuseText, pyth.ScopeSessions, pyth.ScopeExecute)
	if ok {
		s.dispatch(w, admitted, s.interpreter, s.refuseText)
	}
}

// handleText returns a handler whose errors are plain text. If the function "serve"
// returns an error, this function must not have written a response.
func (s *Server) handleText(serve func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.config.MaxTimeout+turnAllowance)
		defer cancel()
		if err := serve(w, r.WithContext(ctx)); err != nil {
			s.refuseText(w, r, err)
		}
	}
}

// executeRequest is the body of a request to run code.
type executeRequest struct {
	Code      string            `json:"code"`
	ContextID string            `json:"context_id"`
	Language  string            `json:"language"`
	EnvVars   map[string]string `json:"env_vars"`
}

// execute runs code in a context. The response is a stream of lines. Each line contains
// one event as JSON. If the client disconnects, the run is interrupted.
func (s *Server) execute(w http.ResponseWriter, r *http.Request) error {
	data, release, err := s.config.Gate.ReadBody(w, r, maxExecuteBytes)
	if err != nil {
		return err
	}
	defer release()
	var in executeRequest
	if err := decode(data, &in); err != nil {
		return err
	}
	if in.ContextID != "" && in.Language != "" {
		return fail(http.StatusBadRequest, "Only one of context_id or language can be provided")
	}
	if err := checkEntries("env_vars", in.EnvVars); err != nil {
		return err
	}
	a := accessOf(r.Context())
	c, err := s.contextFor(r.Context(), a, &in)
	if err != nil {
		return err
	}
	return s.run(w, r, a, c, &in)
}

// run runs the code and writes its events.
func (s *Server) run(w http.ResponseWriter, r *http.Request, a *access, c *codeContext, in *executeRequest) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	out := newEvents(w, endsWithExpression(in.Code, c.language), c.count, cancel)
	stop := out.keepAlive()
	execution, err := s.config.Executions.Execute(ctx, a.user, &pyth.Program{
		Session: c.session, Code: in.Code, Env: a.environment(in.EnvVars), Results: true, Timeout: s.config.MaxTimeout,
		AllSecrets: a.secrets && a.principal.Has(pyth.ScopeSecretsRead),
	}, out)
	stop()
	if err != nil {
		if isGone(err) {
			s.contextGone(r.Context(), a, c)
		}
		if !out.begun() {
			if isGone(err) {
				return fail(http.StatusBadGateway, "The sandbox was not found")
			}
			return err
		}
		_, _, text := s.config.Gate.Explain(r.Context(), err)
		out.failed(text)
		return nil
	}
	if execution.SessionEnded {
		s.contextGone(r.Context(), a, c)
	}
	out.ended(execution, s.config.MaxTimeout)
	return nil
}

// contextGone forgets a context whose session has ended. If it is the default context,
// the sandbox ends too.
func (s *Server) contextGone(ctx context.Context, a *access, c *codeContext) {
	if c.session == a.id {
		s.alive(context.WithoutCancel(ctx), a.sandbox)
		return
	}
	a.removeContext(c.id)
}

// createContextRequest is the body of a request for a context.
type createContextRequest struct {
	Language string `json:"language"`
	CWD      string `json:"cwd"`
}

func (s *Server) createContext(w http.ResponseWriter, r *http.Request) error {
	data, release, err := s.config.Gate.ReadBody(w, r, maxControlBytes)
	if err != nil {
		return err
	}
	defer release()
	var in createContextRequest
	if err := decode(data, &in); err != nil {
		return err
	}
	language, err := s.language(in.Language)
	if err != nil {
		return err
	}
	a := accessOf(r.Context())
	c, err := s.openContext(r.Context(), a, language, in.CWD)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, c.info())
	return nil
}

func (s *Server) listContexts(w http.ResponseWriter, r *http.Request) error {
	all := accessOf(r.Context()).allContexts()
	out := make([]contextInfo, 0, len(all))
	for _, c := range all {
		out = append(out, c.info())
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *Server) removeContext(w http.ResponseWriter, r *http.Request) error {
	a := accessOf(r.Context())
	c, err := a.context(r.PathValue("id"))
	if err != nil {
		return err
	}
	if c.session == a.id {
		return fail(http.StatusNotImplemented, "The default context cannot be removed on this server. Kill the sandbox to end it.")
	}
	a.removeContext(c.id)
	if err := s.config.Sessions.CloseSession(r.Context(), a.user, c.session); err != nil && !isGone(err) {
		return err
	}
	writeJSON(w, http.StatusOK, nil)
	return nil
}

// restartContext replaces the session of a context, so that the context loses its
// variables and files.
func (s *Server) restartContext(w http.ResponseWriter, r *http.Request) error {
	a := accessOf(r.Context())
	c, err := a.context(r.PathValue("id"))
	if err != nil {
		return err
	}
	if c.session == a.id {
		return fail(http.StatusNotImplemented, "The default context cannot be restarted on this server. Create another context or another sandbox.")
	}
	session, err := s.openSession(r.Context(), a, c.language, c.cwd)
	if err != nil {
		return err
	}
	old := a.replaceSession(c, session)
	if err := s.config.Sessions.CloseSession(r.Context(), a.user, old); err != nil && !isGone(err) {
		return err
	}
	writeJSON(w, http.StatusOK, nil)
	return nil
}

// language returns the language of a request. The default is Python.
func (s *Server) language(name string) (pyth.Language, error) {
	l := pyth.Language(strings.ToLower(strings.TrimSpace(name)))
	switch l {
	case "":
		return pyth.Python, nil
	case "js":
		l = pyth.JavaScript
	case "ts":
		l = pyth.TypeScript
	}
	if slices.ContainsFunc(s.config.Languages, func(i pyth.LanguageInfo) bool { return i.Name == l && i.Version != "" }) {
		return l, nil
	}
	var names []string
	for _, i := range s.config.Languages {
		names = append(names, string(i.Name))
	}
	return "", fail(http.StatusBadRequest, "The language %q is not available on this server. Use one of: %s.", clip(name), strings.Join(names, ", "))
}

// quote returns the text as a literal of Python and JavaScript.
func quote(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err) // A string can always be encoded.
	}
	return string(data)
}
