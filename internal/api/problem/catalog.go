package problem

import pyth "github.com/pyth-on/pyth-on"

// Type describes an error code for callers of the API.
type Type struct {
	Code   pyth.Code
	Status int
	Title  string
	// Advice says what the caller can do about the error.
	Advice string
}

// URI returns the relative URL of the description of the code.
func (t Type) URI() string { return Path + "#" + string(t.Code) }

// Path is the path of the page that describes all codes.
const Path = "/docs/errors"

// Catalog describes all codes that callers can receive, in the order of
// docs/errors.md.
func Catalog() []Type {
	return []Type{
		{pyth.CodeInvalid, 400, "The request is not valid", "Correct the fields in `errors`. If you do not change the request, it fails again."},
		{pyth.CodeInvalidRequirement, 400, "The package requirement is not valid", "Send names of packages in the index, with optional versions. URLs, paths and options are not allowed."},
		{pyth.CodeReservedName, 400, "The name is reserved", "Choose another name. The runtime reserves names such as PATH and PYTHON*."},
		{pyth.CodeNotImplemented, 400, "Not available on this server", "Remove the field that `detail` names. If `detail` names no field, use another server for this operation."},
		{pyth.CodeUnauthenticated, 401, "Credentials are missing or not valid", "Send `x-api-key` or `Authorization: Bearer`. If the token has expired, log in again."},
		{pyth.CodeInvalidCredentials, 401, "The credentials are wrong", "Check the e-mail address and the password. The server does not say which of them is wrong. If you sent a refresh token, log in again."},
		{pyth.CodeSecondFactorRequired, 401, "The account has a second factor", "Send the request again with a code from the authenticator app, or with a recovery code, in `code`."},
		{pyth.CodeInvalidSecondFactor, 401, "The code of the second factor is wrong", "Send the current code from the authenticator app. A code works once. Check the clock of the device."},
		{pyth.CodeForbidden, 403, "Not allowed", "Ask the operator for permission. The credentials are valid, but the account may not do this."},
		{pyth.CodeMissingScope, 403, "The API key lacks a scope", "Use a key with the scope that `detail` names, or create such a key. A token from /api/login has all scopes."},
		{pyth.CodeRegistrationClosed, 403, "Registration is closed", "Ask the operator for an account or an invite."},
		{pyth.CodeAccountDisabled, 403, "The account is disabled", "Ask an administrator to enable the account."},
		{pyth.CodeEmailUnconfirmed, 403, "The e-mail address is not confirmed", "Open the link in the mail to the address of the account. Request a new mail with POST /api/email/resend."},
		{pyth.CodeNotFound, 404, "Not found", "Check the path and the ID. For objects of other users, the server also responds with this error."},
		{pyth.CodeMethodNotAllowed, 405, "The method is not allowed here", "Use one of the methods in the `Allow` header."},
		{pyth.CodeEmailTaken, 409, "The e-mail address is taken", "Log in, or register with another e-mail address."},
		{pyth.CodeIdentityNotLinked, 409, "The sign-in is not linked to the account", "Log in with the password of the account, and link the sign-in with POST /api/v1/me/identities."},
		{pyth.CodeLastAdmin, 409, "The server needs an administrator", "Make another user an administrator first."},
		{pyth.CodeConflict, 409, "The request conflicts with the current state", "Read the current state and try again."},
		{pyth.CodeIdempotencyConflict, 409, "The idempotency key belongs to another request", "Send a new key for a new request. To repeat a request, send the same body."},
		{pyth.CodeInProgress, 409, "The request with this idempotency key has no answer yet", "Wait for the number of seconds in `Retry-After` and try again. The field `detail` says what to do if the server was stopped."},
		{pyth.CodeSecretDamaged, 409, "A stored secret is damaged", "Store the value of the secret again, or remove it from `secrets`. Other secrets are not affected."},
		{pyth.CodeUnsatisfiable, 409, "The package versions are not compatible", "Read the messages of the resolver in `detail`, then change names or versions. Nothing was changed."},
		{pyth.CodeTooLarge, 413, "The request is too large", "Send a smaller request. GET /api returns the limits."},
		{pyth.CodeUnsupportedMedia, 415, "The media type is not supported", "Send `Content-Type: application/json` in UTF-8 without a content encoding."},
		{pyth.CodeRange, 416, "The range is outside the file", "Send a range that begins before the end of the file. The header `Content-Range` has the size of the file."},
		{pyth.CodeRateLimited, 429, "Too many requests", "Wait for the number of seconds in `Retry-After`."},
		{pyth.CodeQuotaExceeded, 429, "A quota of your account is used up", "Delete an object, or wait until a run or session ends. The field `detail` says which quota is used up."},
		{pyth.CodeTooManyExecutions, 429, "You run the maximum number of programs per user", "Wait for the number of seconds in `Retry-After`, or until one of your programs has ended."},
		{pyth.CodeTokenBudget, 429, "The model tokens of this day are used up", "Wait for the number of seconds in `Retry-After`. The new budget starts at midnight UTC."},
		{pyth.CodeInternal, 500, "Internal error", "Try again later. If the error persists, send the request ID to the operator."},
		{pyth.CodeIndexUnavailable, 502, "The package index is not available", "Try again later. Nothing was changed."},
		{pyth.CodePortUnavailable, 502, "No server answers on the port", "Start a server in the session that listens on the port, and try again."},
		{pyth.CodeLLMFailed, 502, "The model wrote no program", "The field `detail` says whether to try again, to change the prompt or to ask the operator."},
		{pyth.CodeLLMNotConfigured, 503, "The server has no model", "Ask the operator to set `ANTHROPIC_API_KEY`. Trying again does not help."},
		{pyth.CodeLLMTimeout, 504, "The model did not answer in time", "Try again, or ask for a smaller program."},
		{pyth.CodeOverloaded, 503, "The server is at capacity", "Wait for the number of seconds in `Retry-After` and try again."},
		{pyth.CodeDraining, 503, "The server is shutting down", "Wait for the number of seconds in `Retry-After` and try again. Another server will respond, or this server after its restart."},
		{pyth.CodeRuntimeUnavailable, 503, "The runtime of the language is not available", "Use another language. Operators: run `pyth-on doctor` for the cause."},
		{pyth.CodeUnavailable, 503, "A dependency of the server is not available", "Wait for the number of seconds in `Retry-After`. GET /api/health returns the state of the dependencies."},
	}
}

// Find returns the description of a code. For a code that is not in the catalog, it
// returns the description of an internal error.
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
