package main

import (
	"io"
	"os"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

// writeDeb writes the Debian package of a release.
func (r *release) writeDeb(to string) error {
	file := func(from, at string, mode os.FileMode) *files.Content {
		return &files.Content{Source: r.path(from), Destination: at, FileInfo: &files.ContentFileInfo{Mode: mode, MTime: r.Time}}
	}
	settings := file("deploy/debian/pyth-on.toml", "/etc/pyth-on/pyth-on.toml", 0o644)
	settings.Type = files.TypeConfig
	info := &nfpm.Info{
		Name: "pyth-on", Arch: "amd64", Platform: "linux", Section: "net", Priority: "optional",
		Version: r.Version, VersionSchema: "none", MTime: r.Time, DisableGlobbing: true,
		Maintainer:  "The Pyth-On authors <pyth-on@localhost>",
		Description: "API server that runs untrusted programs in sandboxes\nPyth-On runs Python, JavaScript and TypeScript in gVisor sandboxes.\nClients use a REST API. The server needs no Docker, no KVM and no root.",
		Homepage:    "https://github.com/pyth-on/pyth-on", License: "Apache-2.0",
		Overridables: nfpm.Overridables{
			// The package depends on the C library, the shell and common tools, because
			// the server copies them from the machine into sandboxes.
			Depends:    []string{"adduser", "libc6", "libgcc-s1", "libstdc++6", "coreutils", "dash", "findutils", "grep", "gzip", "sed", "tar"},
			Recommends: []string{"bash", "bsdextrautils", "bzip2", "ca-certificates", "curl", "diffutils", "git", "hostname", "jq", "less", "ncurses-base", "procps", "xz-utils"},
			Contents: files.Contents{
				file("bin/pyth-on", "/usr/bin/pyth-on", 0o755),
				file("deploy/systemd/pyth-on.service", "/usr/lib/systemd/system/pyth-on.service", 0o644),
				settings,
				file("docs/operations.md", "/usr/share/doc/pyth-on/operations.md", 0o644),
				file("docs/server.md", "/usr/share/doc/pyth-on/server.md", 0o644),
				file("deploy/debian/copyright", "/usr/share/doc/pyth-on/copyright", 0o644),
			},
			Scripts: nfpm.Scripts{
				PostInstall: r.path("deploy/debian/postinst"),
				PreRemove:   r.path("deploy/debian/prerm"),
				PostRemove:  r.path("deploy/debian/postrm"),
			},
		},
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return err
	}
	return create(to, func(w io.Writer) error { return deb.Default.Package(info, w) })
}
