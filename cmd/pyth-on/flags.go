package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/pyth-on/pyth-on/internal/app"
)

// This file declares the flags that several commands share, and the groups of flags of
// a server. Each type has the same fields as the corresponding configuration in package
// app.

type nodeFlags struct {
	Node        string `placeholder:"PATH" help:"Path of a Node binary (version 24 or later) for JavaScript and TypeScript. With 'off', both languages are disabled (default: download Node once from the npm registry)."`
	NPMRegistry string `name:"npm-registry" placeholder:"URL" help:"URL of the npm registry for Node and for users' packages (default: the registry in npm's configuration)."`
}

type imageFlags struct {
	Runtime      map[string]string `placeholder:"NAME=SOURCE" help:"A custom image: a root file system with Python or Node. SOURCE is a directory or a tar file from docker save. You can repeat this flag."`
	Preload      map[string]string `placeholder:"NAME=MODULES" help:"Python modules that a custom image imports before a program starts, for example science=numpy,pandas. You can repeat this flag."`
	WarmRuntimes int               `default:"1" help:"Minimum number of warm sandboxes (booted, but not used yet) for each custom image."`
}

type poolFlags struct {
	Warm              int           `default:"2" help:"Minimum number of warm sandboxes (booted, but not used yet) for Python. Under load the server keeps more warm sandboxes. For all languages and custom images together, it keeps at most four per processor, and at most a quarter of --max-sandboxes. The minimums apply even if they are larger."`
	WarmNode          int           `default:"1" help:"Minimum number of warm sandboxes (booted, but not used yet) for JavaScript and TypeScript."`
	MaxRunning        int           `default:"0" reload:"" help:"Maximum number of running programs (default: eight per processor)."`
	MaxRunningOfUser  int           `name:"max-running-per-user" default:"0" reload:"" help:"Maximum number of running programs per user (default: three quarters of --max-running). On a server with --dispatch, the maximum applies to all workers together, and the default is no maximum. Each worker also applies its own maximum."`
	MaxQueued         int           `default:"256" reload:"" help:"Maximum number of programs that wait in the queue. The server refuses further programs with 503."`
	MaxQueuedOfUser   int           `name:"max-queued-per-user" default:"64" reload:"" help:"Maximum number of programs of one user that wait in the queue. The server refuses further programs with 429."`
	MaxSandboxes      int           `default:"0" reload:"" help:"Maximum number of sandboxes, including idle ones (default: the number that fits in a quarter of the memory). The number is never lower than --max-running."`
	MaxRunningMemory  int64         `default:"0" unit:"MiB" reload:"" help:"Maximum sum of the memory limits of running programs, in MiB (default: half of the memory). Further programs wait. If the limit of a single program is larger than this maximum, the program runs alone."`
	MaxSessions       int           `default:"0" reload:"" help:"Maximum number of sessions and reserved sandboxes together (default: three quarters of --max-sandboxes)."`
	MaxSessionsOfUser int           `name:"max-sessions-per-user" default:"20" reload:"" help:"Maximum number of sessions per user."`
	SessionIdle       time.Duration `default:"10m" reload:"" help:"Default idle time-out of sessions."`
	SandboxIdle       time.Duration `default:"2m" help:"Time after which the server destroys a user's idle sandbox. With 0, the server destroys a sandbox after each program."`
	SandboxRuns       int           `default:"1000" help:"Number of programs after which the server replaces a user's sandbox. The value 0 means never."`
	Rollback          string        `default:"on" enum:"on,off" help:"Whether a sandbox restores the state of the interpreter after a program, instead of starting a new interpreter: ${enum}."`
	RollbackRuns      int           `default:"100" help:"Number of programs after which a sandbox starts a new interpreter instead of restoring the old one."`
	RollbackCPU       time.Duration `name:"rollback-cpu" default:"10s" help:"Processor time after which a sandbox starts a new interpreter instead of restoring the old one."`
}

type networkFlags struct {
	Egress           string         `default:"on" enum:"on,off" help:"Whether programs may connect to the hosts in network.allow of their request: ${enum}."`
	EgressDeny       []string       `help:"Hosts that no program may connect to. Examples: example.org, *.example.org, example.org:443."`
	EgressMaxHosts   int            `default:"0" help:"Maximum number of hosts in network.allow of a request (default: 100)."`
	EgressAllowRange []netip.Prefix `help:"Private address ranges that programs may connect to, for example 10.1.0.0/16."`
}

type recordFlags struct {
	KeepRuns   time.Duration `default:"720h" help:"How long the server keeps records of runs. With 0, the server keeps records forever."`
	KeepOutput time.Duration `default:"24h" help:"How long the server keeps the encrypted code and output of runs. With 0, the server does not store code and output."`
}

type quotaFlags struct {
	ExecutionsPerDay int64         `name:"quota-executions-per-day" default:"0" help:"Maximum number of runs per user and day (UTC). The value 0 means no limit."`
	CPUPerDay        time.Duration `name:"quota-cpu-per-day" default:"0s" help:"Maximum processor time of runs per user and day (UTC). The value 0 means no limit."`
}

type backupFlags struct {
	BackupDir      string        `type:"path" help:"Directory for scheduled backups of the database (default: no scheduled backups). The backups do not contain the root key."`
	BackupInterval time.Duration `default:"24h" help:"Time between two scheduled backups."`
	BackupKeep     int           `default:"7" help:"Number of scheduled backups that the server keeps. With 0, the server keeps all backups."`
	BackupDownload string        `default:"on" enum:"on,off" help:"Whether administrators can make a backup and read it over the API, for example with 'pyth-on backup --server': ${enum}. Such a backup does not contain the root key."`
}

// config converts the flags to the configuration of backups.
func (f backupFlags) config() (app.BackupConfig, error) {
	if f.BackupInterval < time.Minute {
		return app.BackupConfig{}, fmt.Errorf("--backup-interval must be at least one minute, not %v", f.BackupInterval)
	}
	return app.BackupConfig(f), nil
}

type asyncFlags struct {
	MaxAsync     int   `name:"max-async-per-user" default:"10000" help:"Maximum number of queued asynchronous runs per user. The server refuses further runs with 429."`
	MaxAsyncSize int64 `name:"max-async-size-per-user" default:"1024" unit:"MiB" help:"Maximum total size of the requests of a user's queued asynchronous runs, in MiB."`
}

type packageFlags struct {
	PythonIndex            string        `placeholder:"URL" default:"https://pypi.org/simple/" help:"URL of the index of Python packages (PEP 503 or 691). With 'off', Python packages are disabled."`
	PythonIndexCredentials string        `name:"python-index-credentials-file" type:"existingfile" help:"File with the credentials for the Python package index, in one line: user:password or Bearer TOKEN. Sandboxes never receive the credentials."`
	NPMPackages            string        `name:"npm-packages" default:"on" enum:"on,off" help:"Whether users may install npm packages: ${enum}."`
	NPMCredentials         string        `name:"npm-credentials-file" type:"existingfile" help:"File with the credentials for the npm registry, in one line: user:password or Bearer TOKEN."`
	MaxPackages            int           `name:"max-packages-per-user" default:"500" help:"Maximum number of packages per user and runtime, including dependencies."`
	MaxPackageSize         int64         `name:"max-package-size-per-user" default:"1024" unit:"MiB" help:"Maximum size of all packages of one user and runtime, in MiB."`
	PackageCache           int64         `default:"2048" unit:"MiB" help:"Maximum total size of cached packages that are not installed for any user at the moment, in MiB."`
	PackageTimeout         time.Duration `default:"15m" help:"Time-out for installing or removing packages."`
	PackageResolveTimeout  time.Duration `default:"5m" help:"Time-out for pip or npm to choose package versions."`
	PackageMemory          int64         `default:"1024" unit:"MiB" help:"Memory limit for pip or npm when it chooses package versions, in MiB."`
	BasePackages           []string      `placeholder:"LIST" help:"Packages that every user has, separated by commas, for example numpy==2.*,pandas,npm:lodash. The name of an npm package begins with npm:. All other packages are Python packages. The server installs the packages when it starts. You can repeat this flag."`
}

// config converts the flags to the configuration of packages. It reads the credentials
// from the files that the flags specify.
func (f packageFlags) config() (c app.PackageConfig, err error) {
	c = app.PackageConfig(f)
	if c.PythonIndexCredentials, err = onlyLine(f.PythonIndexCredentials, "credentials"); err != nil {
		return c, err
	}
	c.NPMCredentials, err = onlyLine(f.NPMCredentials, "credentials")
	return c, err
}
