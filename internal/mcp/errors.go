package mcp

import (
	"errors"
	"fmt"
	"net"

	"github.com/pyth-on/pyth-on/client"
)

// explain adds a hint to an error of the API. The hint says what the model or its user
// can do about the error.
func explain(err error) error {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%w; the server cannot be reached: ask the user to check whether it runs", err)
	}
	switch {
	case client.HasCode(err, client.ErrorCodeUnauthenticated):
		return fmt.Errorf("%w; ask the user for a valid API key in the configuration of this MCP server", err)
	case client.HasCode(err, client.ErrorCodeMissingScope):
		return fmt.Errorf("%w; ask the user for an API key with this scope", err)
	}
	return err
}

// explainSession adds a hint to an error of a call that has a session ID.
func explainSession(err error) error {
	if client.HasCode(err, client.ErrorCodeNotFound) {
		return fmt.Errorf("%w; session_list lists the open sessions, and session_create opens one", err)
	}
	return err
}
