package app

import (
	"net/netip"
	"time"

	"github.com/pyth-on/pyth-on/internal/sandbox"
)

// NodeConfig selects the source of Node.
type NodeConfig struct {
	// Node is the path of a Node binary, "off", or "" to download one.
	Node string
	// NPMRegistry is the URL of the registry for Node and for users' packages; "" for
	// the registry in npm's configuration.
	NPMRegistry string
}

// ImageConfig lists the custom images.
type ImageConfig struct {
	// Runtime maps the names of images to their sources: directories or tar files.
	Runtime map[string]string
	// Preload maps the names of images to comma-separated Python modules. The image
	// imports them before a program starts.
	Preload map[string]string
	// WarmRuntimes is the minimum number of warm sandboxes of each image.
	WarmRuntimes int
}

// PoolConfig limits sandboxes and programs. If MaxRunning, MaxRunningOfUser,
// MaxSandboxes, MaxRunningMemory or MaxSessions is 0, the default depends on this
// machine.
type PoolConfig struct {
	// Warm and WarmNode are the minimum numbers of warm sandboxes.
	Warm, WarmNode                 int
	MaxRunning, MaxRunningOfUser   int
	MaxQueued, MaxQueuedOfUser     int
	MaxSandboxes                   int
	MaxRunningMemory               int64 // MiB
	MaxSessions, MaxSessionsOfUser int
	SessionIdle, SandboxIdle       time.Duration
	SandboxRuns                    int
	// Rollback is "on" or "off". RollbackRuns and RollbackCPU limit the use of an
	// interpreter.
	Rollback     string
	RollbackRuns int
	RollbackCPU  time.Duration
}

// rollback returns the configuration of the launcher. recycled counts the reasons.
func (c PoolConfig) rollback(recycled func(reason string)) sandbox.Rollback {
	if c.Rollback != "on" {
		return sandbox.Rollback{}
	}
	return sandbox.Rollback{Runs: c.RollbackRuns, CPU: c.RollbackCPU, Recycled: recycled}
}

// NetworkConfig limits the connections of programs.
type NetworkConfig struct {
	// Egress is "on" or "off".
	Egress     string
	EgressDeny []string
	// EgressMaxHosts limits the number of hosts of a program; 0 means the maximum of
	// the API.
	EgressMaxHosts   int
	EgressAllowRange []netip.Prefix
}

// PackageConfig selects the sources of users' packages and limits the packages.
type PackageConfig struct {
	// PythonIndex is a URL or "off".
	PythonIndex string
	// PythonIndexCredentials and NPMCredentials have the form user:password or Bearer
	// TOKEN.
	PythonIndexCredentials string
	// NPMPackages is "on" or "off".
	NPMPackages    string
	NPMCredentials string
	MaxPackages    int
	// MaxPackageSize, PackageCache and PackageMemory are in MiB.
	MaxPackageSize, PackageCache          int64
	PackageTimeout, PackageResolveTimeout time.Duration
	PackageMemory                         int64
}

// ModelConfig selects the model that writes programs.
type ModelConfig struct {
	// Key is the API key. If it is empty, there is no model.
	Key     []byte
	Model   string
	BaseURL string
	// Form is "schema" or "tool".
	Form string
	// Timeout is the time-out of one answer.
	Timeout time.Duration
	// Others lists the models that requests may select in addition to the default. If
	// it is empty, they may select any model.
	Others []string
	// TokensPerDay is the maximum number of tokens per user and day; 0 means no limit.
	TokensPerDay int64
}
