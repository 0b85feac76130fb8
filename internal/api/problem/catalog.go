package problem

import pyth "github.com/pyth-on/pyth-on"

// Type describes a code to callers.
type Type struct {
	Code   pyth.Code
	Status int
	Title  string
	// Advice tells the caller what to do.
	Advice string
}

// URI returns the reference of the description of the code.
func (t Type) URI() string { return Path + "#" + string(t.Code) }

// Path is the path of the page that describes all codes.
const Path = "/docs/errors"

// Catalog returns every code that a caller can get, in the order of the
// documentation. docs/errors.md has the same list.
func Catalog() []Type {
	return []Type{
		{pyth.CodeInvalid, 400, "The request is not valid", "Correct what `errors` lists. The same request will fail again."},
		{pyth.CodeInvalidRequirement, 400, "The package requirement is not valid", "Send names of packages in the index, with optional versions. URLs, paths and options are refused."},
		{pyth.CodeReservedName, 400, "The name is reserved", "Choose another name. The runtime reserves names such as PATH and PYTHON*."},
		{pyth.CodeNotImplemented, 400, "Not available on this server", "Leave out the field that the detail names."},
		{pyth.CodeUnauthenticated, 401, "Credentials are missing or not valid", "Send `x-api-key` or `Authorization: Bearer`. If the token has expired, log in again."},
		{pyth.CodeInvalidCredentials, 401, "The credentials are wrong", "Check e-mail and password. The server does not tell which of them is wrong. If it was a refresh token, log in again."},
		{pyth.CodeForbidden, 403, "Not allowed", "Ask the operator. The account is known, but it may not do this."},
		{pyth.CodeRegistrationClosed, 403, "Registration is closed", "Ask the operator for an account or an invite."},
		{pyth.CodeNotFound, 404, "Not found", "Check the path and the id. Objects of other users are not found either."},
		{pyth.CodeMethodNotAllowed, 405, "The method is not allowed here", "Use one of the methods in the `Allow` header."},
		{pyth.CodeEmailTaken, 409, "The e-mail is taken", "Log in, or register with another e-mail."},
		{pyth.CodeConflict, 409, "The request conflicts with the present state", "Read the present state and try again."},
		{pyth.CodeSecretDamaged, 409, "A stored secret is damaged", "Store the value of the secret again, or leave it out of `secrets`. Other secrets are not affected."},
		{pyth.CodeUnsatisfiable, 409, "The packages do not fit together", "Read the last lines of the resolver in the detail, then change names or versions. Nothing was changed."},
		{pyth.CodeTooLarge, 413, "The request is too large", "Send less. /api lists the limits."},
		{pyth.CodeUnsupportedMedia, 415, "The media type is not supported", "Send `Content-Type: application/json` in UTF-8 without a content encoding."},
		{pyth.CodeRateLimited, 429, "Too many requests", "Wait for the seconds in `Retry-After`."},
		{pyth.CodeQuotaExceeded, 429, "A quota of your account is used up", "Delete something, or wait until something ends. The detail names the quota."},
		{pyth.CodeTooManyExecutions, 429, "You run as many programs as one user may", "Wait for the seconds in `Retry-After`, or until one of your programs has ended."},
		{pyth.CodeTokenBudget, 429, "The tokens of this day are used up", "Wait for the seconds in `Retry-After`: the budget is renewed at midnight UTC."},
		{pyth.CodeInternal, 500, "Internal error", "Try again later. If the error stays, send the request id to the operator."},
		{pyth.CodeIndexUnavailable, 502, "The package index is not available", "Try again later. Nothing was changed."},
		{pyth.CodeLLMFailed, 502, "The model wrote no program", "Read the detail: try again, change the prompt, or ask the operator."},
		{pyth.CodeLLMNotConfigured, 503, "The server has no model", "Ask the operator to set `ANTHROPIC_API_KEY`. A second try does not help."},
		{pyth.CodeLLMTimeout, 504, "The model did not answer in time", "Try again, or ask for a smaller program."},
		{pyth.CodeOverloaded, 503, "The server is at capacity", "Wait for the seconds in `Retry-After` and try again."},
		{pyth.CodeDraining, 503, "The server is shutting down", "Wait for the seconds in `Retry-After` and try again: another server will answer, or this one after its restart."},
		{pyth.CodeRuntimeUnavailable, 503, "The runtime of the language is not available", "Use another language. Operators: run `pyth-on doctor` for the cause."},
		{pyth.CodeUnavailable, 503, "A dependency of the server is not available", "Wait for the seconds in `Retry-After`. /api/health lists the dependencies."},
	}
}

// Find returns the description of a code. A code that is not in the
// catalog is an internal error.
func Find(code pyth.Code) Type {
	var internal Type
	for _, t := range Catalog() {
		switch t.Code {
		case code:
			return t
		case pyth.CodeInternal:
			internal = t
		}
	}
	return internal
}
