package app

import (
	"net/netip"
	"time"

	"github.com/pyth-on/pyth-on/internal/sandbox"
)

// NodeConfig selects the Node binary for sandboxes, and the npm registry.
type NodeConfig struct {
	// Node is the path of a Node binary. If Node is "", the server downloads a binary.
	// If Node is "off", JavaScript and TypeScript are disabled.
	Node string
	// NPMRegistry is the URL of the registry for Node and for users' packages. If it is
	// "", the server uses the registry in npm's configuration.
	NPMRegistry string
}

// ImageConfig contains the settings of the custom images.
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

// PoolConfig limits the numbers of sandboxes, sessions and programs. MaxRunning,
// MaxRunningOfUser, MaxSandboxes, MaxRunningMemory and MaxSessions can be 0. If one of
// them is 0, this limit depends on the memory and the processors of the machine.
type PoolConfig struct {
	// Warm is the minimum number of started, unused (warm) sandboxes for Python.
	// WarmNode is this minimum for JavaScript and TypeScript.
	Warm, WarmNode                 int
	MaxRunning, MaxRunningOfUser   int
	MaxQueued, MaxQueuedOfUser     int
	MaxSandboxes                   int
	MaxRunningMemory               int64 // MiB
	MaxSessions, MaxSessionsOfUser int
	SessionIdle, SandboxIdle       time.Duration
	SandboxRuns                    int
	// Rollback is "on" or "off". With "on", a sandbox restores the earlier state of its
	// interpreter after a run, so that the next run does not need a new interpreter.
	// RollbackRuns is the maximum number of runs of one interpreter. RollbackCPU is the
	// maximum processor time of one interpreter.
	Rollback     string
	RollbackRuns int
	RollbackCPU  time.Duration
}

// rollback converts the settings for sandbox.Config. A sandbox calls the function
// "recycled" each time it is ready for the next program after a run.
func (c PoolConfig) rollback(recycled func(reason string)) sandbox.Rollback {
	if c.Rollback != "on" {
		return sandbox.Rollback{}
	}
	return sandbox.Rollback{Runs: c.RollbackRuns, CPU: c.RollbackCPU, Recycled: recycled}
}

// NetworkConfig limits the network connections of programs.
type NetworkConfig struct {
	// Egress is "on" or "off". With "off", programs cannot connect to other hosts.
	Egress     string
	EgressDeny []string
	// EgressMaxHosts limits the number of hosts in a request. If it is 0, the limit of
	// the API applies.
	EgressMaxHosts   int
	EgressAllowRange []netip.Prefix
}

// PackageConfig selects the sources of users' packages, and limits the packages.
type PackageConfig struct {
	// PythonIndex is the URL of the index of Python packages. The value "off" disables
	// Python packages.
	PythonIndex string
	// PythonIndexCredentials and NPMCredentials have the form "user:password" or
	// "Bearer TOKEN".
	PythonIndexCredentials string
	// NPMPackages is "on" or "off". With "off", users cannot install npm packages.
	NPMPackages    string
	NPMCredentials string
	MaxPackages    int
	// MaxPackageSize, PackageCache and PackageMemory are sizes in MiB.
	MaxPackageSize, PackageCache          int64
	PackageTimeout, PackageResolveTimeout time.Duration
	PackageMemory                         int64
	// BasePackages contains requirements of packages. Every user has these packages. The
	// requirement of an npm package begins with "npm:".
	BasePackages []string
}

// ModelConfig selects the model that writes programs.
type ModelConfig struct {
	// Key is the API key of the model's provider. If it is "", no model is configured.
	Key     []byte
	Model   string
	BaseURL string
	// Form says how the server forces the model to reply in the right format. The value
	// "schema" means a JSON schema, and the value "tool" means a tool call.
	Form string
	// Timeout is the time-out for one reply of the model.
	Timeout time.Duration
	// Others contains the models that requests may select in addition to Model. If
	// Others is empty, requests may select any model of the provider.
	Others []string
	// TokensPerDay is the maximum number of tokens of each user per day. The value 0
	// means no limit.
	TokensPerDay int64
}

// RecordConfig determines how long the server keeps the records of runs.
type RecordConfig struct {
	// KeepRuns is the retention period of records. The value 0 means that the server
	// keeps records forever. KeepOutput is the retention period of code and output. The
	// value 0 means that the server does not store code and output.
	KeepRuns, KeepOutput time.Duration
}

// QuotaConfig limits the runs of each user on one day (UTC). The value 0 means no
// limit.
type QuotaConfig struct {
	ExecutionsPerDay int64
	CPUPerDay        time.Duration
}
