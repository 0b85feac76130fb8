package generate

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// Limits of requests, which the API documents. maxPrompt is in characters.
const (
	maxPrompt       = 32_000
	maxAttempts     = 5
	defaultAttempts = 3
)

// modelName matches the names of models. The name of a gateway may come before the name
// of the model.
var modelName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$`)

func (s *Service) check(r *pyth.GenerateRequest) error {
	n := utf8.RuneCountInString(r.Prompt)
	switch {
	case n == 0 || n > maxPrompt || !utf8.ValidString(r.Prompt) || strings.TrimSpace(r.Prompt) == "":
		return pyth.Invalid("body.prompt", "must have 1 to %d characters and must not be only white space", maxPrompt)
	case r.MaxAttempts < 0 || r.MaxAttempts > maxAttempts:
		return pyth.Invalid("body.maxAttempts", "must be between 1 and %d", maxAttempts)
	case r.Model != "" && !modelName.MatchString(r.Model):
		return pyth.Invalid("body.model", "is not a valid name of a model")
	case r.Model != "" && r.Model != s.config.Default && len(s.config.Others) > 0 && !slices.Contains(s.config.Others, r.Model):
		return pyth.Invalid("body.model", "must be one of the models of this server: %s", strings.Join(s.models(), ", "))
	case r.InstallPackages && s.config.Packages == nil:
		return unavailable("body.installPackages", "This server does not install packages. Remove installPackages from the request.")
	case r.Session != "" && s.config.Sessions == nil:
		return unavailable("body.sessionId", "This server does not offer sessions. Remove sessionId from the request.")
	}
	return nil
}

func (s *Service) models() []string { return append([]string{s.config.Default}, s.config.Others...) }

func unavailable(location, message string) error {
	return &pyth.Error{
		Code: pyth.CodeNotImplemented, Message: message,
		Fields: []pyth.FieldError{{Location: location, Message: "is not available on this server"}},
	}
}

// language returns the language of the program to write. If the request has a session, it
// returns the language of the session.
func (s *Service) language(ctx context.Context, user pyth.UserID, r *pyth.GenerateRequest) (pyth.Language, error) {
	if r.Session == "" {
		return cmp.Or(r.Language, pyth.Python), nil
	}
	session, err := s.config.Sessions.Session(ctx, user, r.Session)
	if err != nil {
		return "", err
	}
	if r.Language != "" && r.Language != session.Language {
		return "", pyth.Invalid("body.language", "must be the language of the session, %q", session.Language)
	}
	return session.Language, nil
}
