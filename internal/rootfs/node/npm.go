package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/pyth-on/pyth-on/internal/host/process"
)

// commandTimeout bounds commands that take a second at most.
const commandTimeout = 20 * time.Second

// ErrNoRegistry is that nobody says where packages come from.
var ErrNoRegistry = errors.New("no npm registry is known")

// Registry is the registry that this machine's npm is set up with.
func Registry(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	output, err := process.Output(exec.CommandContext(ctx, "npm", "config", "get", "registry"))
	if err != nil {
		return "", fmt.Errorf("%w: asking npm for it: %w", ErrNoRegistry, err)
	}
	registry := trimmed(output)
	if registry == "" || registry == "undefined" || registry == "null" {
		return "", fmt.Errorf("%w: npm has none", ErrNoRegistry)
	}
	return registry, nil
}
