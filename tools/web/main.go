// Command web builds the web page of the server. It unpacks the npm packages in the folder
// packages, and compares each package with its hash in web/package-lock.json. Then it
// bundles the sources of the folder web with esbuild. It needs no network, no Node and no
// npm.
//
// After a change of package-lock.json, "web -download" downloads the new packages.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	o := options{}
	flag.StringVar(&o.source, "source", "../../web", "the folder with the sources of the page")
	flag.StringVar(&o.client, "client", "../../clients/javascript", "the folder of the JavaScript library, whose encryption the page uses")
	flag.StringVar(&o.packages, "packages", "packages", "the folder with the tarballs of the npm packages")
	flag.StringVar(&o.cache, "cache", "../../bin/web", "the folder for unpacked packages")
	flag.StringVar(&o.out, "out", "../../internal/api/page/assets", "the folder for the result")
	flag.StringVar(&o.registry, "registry", os.Getenv("PYTH_ON_NPM_REGISTRY"), "with -download, the URL of the npm registry (default: the registry in npm's configuration)")
	flag.BoolVar(&o.download, "download", false, "download the npm packages in package-lock.json instead of building the page")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

type options struct {
	source, client, packages, cache, out, registry string
	download                                       bool
}

func run(ctx context.Context, o options) error {
	locked, err := readLockfile(o.source)
	if err != nil {
		return err
	}
	if o.download {
		return download(ctx, o, locked)
	}
	modules, err := install(o, locked)
	if err != nil {
		return err
	}
	b, err := bundle(o.source, o.client, modules)
	if err != nil {
		return err
	}
	if err := b.addLicenses(modules, locked); err != nil {
		return err
	}
	return b.write(o.out)
}
