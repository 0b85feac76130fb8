package main

import (
	"net/netip"
	"time"

	"github.com/pyth-on/pyth-on/internal/app"
)

// The flags of this file are shared by commands, or belong to one part of a
// server. Each type has the fields of its configuration in package app.

// nodeFlags say where Node comes from.
type nodeFlags struct {
	Node        string `placeholder:"PATH" help:"A Node binary, version 24 or later, for JavaScript and TypeScript; off for none (default: fetched once from an npm registry)."`
	NPMRegistry string `name:"npm-registry" placeholder:"URL" help:"The npm registry for Node and users' packages (default: the one that npm is configured with)."`
}

// imageFlags list the custom images.
type imageFlags struct {
	Runtime      map[string]string `placeholder:"NAME=SOURCE" help:"A custom image: a root file system with Python or Node, as a directory or a tar file from docker save; may be repeated."`
	Preload      map[string]string `placeholder:"NAME=MODULES" help:"Modules that the Python of a custom image imports before a program starts, such as science=numpy,pandas; may be repeated."`
	WarmRuntimes int               `default:"1" help:"Minimum number of warm sandboxes for each custom image."`
}

// poolFlags limit sandboxes and programs.
type poolFlags struct {
	Warm              int           `default:"2" help:"Minimum number of warm sandboxes for Python; the server keeps more under load."`
	WarmNode          int           `default:"1" help:"Minimum number of warm sandboxes for JavaScript and TypeScript."`
	MaxRunning        int           `default:"0" help:"Maximum number of running programs (default: eight per processor)."`
	MaxRunningOfUser  int           `name:"max-running-per-user" default:"0" help:"Maximum number of running programs per user (default: three quarters of --max-running)."`
	MaxQueued         int           `default:"256" help:"Maximum number of programs in the queue."`
	MaxQueuedOfUser   int           `name:"max-queued-per-user" default:"64" help:"Maximum number of programs in the queue per user."`
	MaxSandboxes      int           `default:"0" help:"Maximum number of sandboxes, including idle ones (default: as many as fit in a quarter of the memory)."`
	MaxRunningMemory  int64         `default:"0" help:"Maximum sum of the memory limits of running programs, in MiB (default: half of the memory)."`
	MaxSessions       int           `default:"0" help:"Maximum number of sessions and reserved sandboxes (default: three quarters of --max-sandboxes)."`
	MaxSessionsOfUser int           `name:"max-sessions-per-user" default:"20" help:"Maximum number of sessions per user."`
	SessionIdle       time.Duration `default:"10m" help:"Idle time-out of sessions that request none."`
	SandboxIdle       time.Duration `default:"2m" help:"Idle time-out of a user's sandbox; 0 destroys it after each program."`
	SandboxRuns       int           `default:"1000" help:"Number of programs after which a user's sandbox is replaced."`
}

// networkFlags are the operator's policy for connections of programs.
type networkFlags struct {
	Egress           string         `default:"on" enum:"on,off" help:"Whether programs may reach the Internet hosts that their request lists: ${enum}."`
	EgressDeny       []string       `help:"Hosts that no program may reach, such as example.org, *.example.org or example.org:443."`
	EgressMaxHosts   int            `default:"0" help:"Maximum number of hosts that a program may list (default: the limit of a request)."`
	EgressAllowRange []netip.Prefix `help:"Private address ranges that programs may reach, such as 10.1.0.0/16."`
}

// packageFlags say where users' packages come from, and limit them.
type packageFlags struct {
	PythonIndex            string        `placeholder:"URL" default:"https://pypi.org/simple/" help:"The index of Python packages (PEP 503 or 691); off for none."`
	PythonIndexCredentials string        `name:"python-index-credentials-file" type:"existingfile" help:"File with one line, user:password or Bearer TOKEN, for the index. Sandboxes never see it."`
	NPMPackages            string        `name:"npm-packages" default:"on" enum:"on,off" help:"Whether users may install npm packages: ${enum}."`
	NPMCredentials         string        `name:"npm-credentials-file" type:"existingfile" help:"File with one line, user:password or Bearer TOKEN, for the npm registry."`
	MaxPackages            int           `name:"max-packages-per-user" default:"500" help:"Maximum number of packages per user and runtime, including dependencies."`
	MaxPackageSize         int64         `name:"max-package-size-per-user" default:"1024" help:"Maximum size of these packages, in MiB."`
	PackageCache           int64         `default:"2048" help:"Maximum size of cached packages that no user has, in MiB."`
	PackageTimeout         time.Duration `default:"15m" help:"Time-out of a change of packages."`
	PackageResolveTimeout  time.Duration `default:"5m" help:"Time-out of the search for compatible versions."`
	PackageMemory          int64         `default:"1024" help:"Memory limit of that search, in MiB."`
}

// config reads the credentials.
func (f packageFlags) config() (c app.PackageConfig, err error) {
	c = app.PackageConfig(f)
	if c.PythonIndexCredentials, err = onlyLine(f.PythonIndexCredentials, "credentials"); err != nil {
		return c, err
	}
	c.NPMCredentials, err = onlyLine(f.NPMCredentials, "credentials")
	return c, err
}
