package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// fetchTimeout is the maximum time that all downloads together may take.
const fetchTimeout = 5 * time.Minute

// download makes the folder o.packages contain the tarballs of the lockfile, and no
// others. It downloads only missing tarballs.
func download(ctx context.Context, o options, l *lockfile) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if err := os.MkdirAll(o.packages, 0o755); err != nil {
		return err
	}
	before, err := filepath.Glob(filepath.Join(o.packages, "*.tgz"))
	if err != nil {
		return err
	}
	old := map[string]bool{}
	for _, name := range before {
		old[name] = true
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, p := range l.packages {
		name := filepath.Join(o.packages, p.file())
		delete(old, name)
		if tarball, err := os.ReadFile(name); err == nil && p.check(tarball) == nil {
			continue
		}
		if o.registry == "" {
			if o.registry, err = configuredRegistry(ctx); err != nil {
				return err
			}
		}
		group.Go(func() error {
			tarball, err := p.fetch(ctx, o.registry)
			if err != nil {
				return fmt.Errorf("download the npm package %s %s: %w", p.name, p.version, err)
			}
			return os.WriteFile(name, tarball, 0o644)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// configuredRegistry returns the address of the registry in npm's configuration. The
// server uses the same address for JavaScript packages.
func configuredRegistry(ctx context.Context) (string, error) {
	const hint = "set PYTH_ON_NPM_REGISTRY to the URL of an npm registry, or install npm"
	out, err := exec.CommandContext(ctx, "npm", "config", "get", "registry").Output()
	if err != nil {
		return "", fmt.Errorf("no npm registry is configured: read the configuration of npm: %w; %s", err, hint)
	}
	registry := strings.TrimSpace(string(out))
	if registry == "" || registry == "undefined" || registry == "null" {
		return "", fmt.Errorf("no npm registry is configured: the configuration of npm has no registry; %s", hint)
	}
	return registry, nil
}

// fetch downloads the tarball of a package and compares it with its hash.
func (p lockedPackage) fetch(ctx context.Context, registry string) ([]byte, error) {
	address, err := url.Parse(registry)
	if err != nil {
		return nil, err
	}
	address = address.JoinPath(p.name, "-", path.Base(p.name)+"-"+p.version+".tgz")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the registry answers %s", response.Status)
	}
	tarball, err := io.ReadAll(io.LimitReader(response.Body, maxPackageBytes))
	if err != nil {
		return nil, err
	}
	return tarball, p.check(tarball)
}
