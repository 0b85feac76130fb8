package app

import (
	"net/netip"
	"time"
)

// NodeConfig says where Node comes from.
type NodeConfig struct {
	// Node is the path of a Node binary, "off", or "" to fetch one.
	Node string
	// NPMRegistry is the registry for Node and for users' packages; "" for the
	// one that npm is configured with.
	NPMRegistry string
}

// ImageConfig lists the custom images.
type ImageConfig struct {
	// Runtime maps names to sources: directories or tar files.
	Runtime map[string]string
	// Preload maps names to comma-separated modules that their Python imports in
	// advance.
	Preload map[string]string
	// WarmRuntimes is the minimum number of warm sandboxes of each image.
	WarmRuntimes int
}

// PoolConfig limits sandboxes and programs. Zero values of MaxRunning,
// MaxRunningOfUser, MaxSandboxes, MaxRunningMemory and MaxSessions mean defaults
// for this machine.
type PoolConfig struct {
	// Warm and WarmNode are minimum numbers of warm sandboxes.
	Warm, WarmNode                 int
	MaxRunning, MaxRunningOfUser   int
	MaxQueued, MaxQueuedOfUser     int
	MaxSandboxes                   int
	MaxRunningMemory               int64 // MiB
	MaxSessions, MaxSessionsOfUser int
	SessionIdle, SandboxIdle       time.Duration
	SandboxRuns                    int
}

// NetworkConfig is the operator's policy for connections of programs.
type NetworkConfig struct {
	// Egress is "on" or "off".
	Egress     string
	EgressDeny []string
	// EgressMaxHosts limits the hosts of a program; 0 means the limit of a request.
	EgressMaxHosts   int
	EgressAllowRange []netip.Prefix
}

// PackageConfig says where users' packages come from, and limits them.
type PackageConfig struct {
	// PythonIndex is a URL or "off".
	PythonIndex string
	// PythonIndexCredentials and NPMCredentials are user:password or Bearer TOKEN.
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
	// Key is the API key. Without one there is no model.
	Key     []byte
	Model   string
	BaseURL string
	// Form is "schema" or "tool".
	Form string
	// Timeout bounds one answer.
	Timeout time.Duration
	// Others lists further models that requests may name; none means any.
	Others []string
	// TokensPerDay bounds the tokens of a user; 0 means no limit.
	TokensPerDay int64
}
