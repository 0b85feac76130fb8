package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/pyth-on/pyth-on/internal/host/process"
)

// commandTimeout limits the time of a node or npm command. Most commands take
// less than a second.
const commandTimeout = 20 * time.Second

// ErrNoRegistry means that the configuration of npm contains no registry.
var ErrNoRegistry = errors.New("no npm registry is configured")

// Registry returns the registry in the npm configuration of this machine.
func Registry(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	output, err := process.Output(exec.CommandContext(ctx, "npm", "config", "get", "registry"))
	if err != nil {
		return "", fmt.Errorf("%w: read the configuration of npm: %w", ErrNoRegistry, err)
	}
	registry := trimmed(output)
	if registry == "" || registry == "undefined" || registry == "null" {
		return "", fmt.Errorf("%w: the configuration of npm has no registry", ErrNoRegistry)
	}
	return registry, nil
}
