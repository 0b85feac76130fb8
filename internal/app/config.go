package app

import (
	"net/netip"
	"time"

	"github.com/pyth-on/pyth-on/internal/sandbox"
)

// NodeConfig selects the Node binary for sandboxes.
type NodeConfig struct {
	// Node is the path of a Node binary. If Node is "", the server downloads a binary.
	// If Node is "off", JavaScript and TypeScript are disabled.
	Node string
	// NPMRegistry is the URL of the registry for Node and for users' packages; "" for
	// the registry in npm's configuration.
	NPMRegistry string
}

// ImageConfig selects the custom images.
type ImageConfig struct {
	// Runtime maps the name of each image to its source, which is a directory or a
	// tar file.
	Runtime map[string]string
	// Preload maps the name of an image to a comma-separated list of Python modules.
	// Sandboxes of the image import these modules before a program starts.
	Preload map[string]string
	// WarmRuntimes is the minimum number of started, unused (warm) sandboxes for each
	// custom image.
	WarmRuntimes int
}

// PoolConfig limits the numbers of sandboxes, sessions and programs. If MaxRunning,
// MaxRunningOfUser, MaxSandboxes, MaxRunningMemory or MaxSessions is 0, the limit
// depends on this machine.
type PoolConfig struct {
	// Warm is the minimum number of started, unused (warm) sandboxes for Python.
	// WarmNode is the minimum for JavaScript and TypeScript.
	Warm, WarmNode                 int
	MaxRunning, MaxRunningOfUser   int
	MaxQueued, MaxQueuedOfUser     int
	MaxSandboxes                   int
	MaxRunningMemory               int64 // MiB
	MaxSessions, MaxSessionsOfUser int
	SessionIdle, SandboxIdle       time.Duration
	SandboxRuns                    int
	// Rollback is "on" or "off". With "on", a sandbox restores the earlier state of its
	// interpreter after a run, so that the next run needs no new interpreter.
	// RollbackRuns is the maximum number of runs of one interpreter. RollbackCPU is the
	// maximum processor time of one interpreter.
	Rollback     string
	RollbackRuns int
	RollbackCPU  time.Duration
}

// rollback converts the settings for sandbox.Config. A sandbox calls the function
// "recycled" each time it has been made ready for the next program.
func (c PoolConfig) rollback(recycled func(reason string)) sandbox.Rollback {
	if c.Rollback != "on" {
		return sandbox.Rollback{}
	}
	return sandbox.Rollback{Runs: c.RollbackRuns, CPU: c.RollbackCPU, Recycled: recycled}
}

// NetworkConfig limits the connections of programs.
type NetworkConfig struct {
	// Egress is "on" or "off". With "off", programs cannot connect to other hosts.
	Egress     string
	EgressDeny []string
	// EgressMaxHosts limits the number of hosts in a request; 0 means the maximum of
	// the API.
	EgressMaxHosts   int
	EgressAllowRange []netip.Prefix
}

// PackageConfig selects where users' packages come from, and limits the packages.
type PackageConfig struct {
	// PythonIndex is the URL of the index of Python packages. "off" disables Python
	// packages.
	PythonIndex string
	// PythonIndexCredentials and NPMCredentials have the form user:password or Bearer
	// TOKEN.
	PythonIndexCredentials string
	// NPMPackages is "on" or "off". With "off", users cannot install npm packages.
	NPMPackages    string
	NPMCredentials string
	MaxPackages    int
	// MaxPackageSize, PackageCache and PackageMemory are in MiB.
	MaxPackageSize, PackageCache          int64
	PackageTimeout, PackageResolveTimeout time.Duration
	PackageMemory                         int64
	// BasePackages contains the requirements of Python packages that every user has.
	BasePackages []string
}

// ModelConfig selects the model that writes programs.
type ModelConfig struct {
	// Key is the API key of the provider. If it is empty, no model is configured.
	Key     []byte
	Model   string
	BaseURL string
	// Form says how the server forces the model to reply in the right format. "schema"
	// uses a JSON schema, and "tool" uses a tool call.
	Form string
	// Timeout is the time-out of one reply of the model.
	Timeout time.Duration
	// Others contains the models that requests may select in addition to Model. If
	// Others is empty, requests may select any model.
	Others []string
	// TokensPerDay is the maximum number of tokens of each user per day; 0 means no
	// limit.
	TokensPerDay int64
}

// RecordConfig says how long the records of runs are kept.
type RecordConfig struct {
	// KeepRuns is the retention period of records; 0 means forever. KeepOutput is the
	// retention period of code and output; 0 means that they are not stored.
	KeepRuns, KeepOutput time.Duration
}

// QuotaConfig limits what each user runs on one day (UTC). 0 means no limit.
type QuotaConfig struct {
	ExecutionsPerDay int64
	CPUPerDay        time.Duration
}
