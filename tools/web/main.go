// Command web builds the web page of the server. It downloads the npm packages in
// web/package-lock.json and compares each package with the hash in this file. Then it
// bundles the sources of the folder web with esbuild. It does not need Node. It needs
// npm only to read the address of the registry from npm's configuration.
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
	flag.StringVar(&o.cache, "cache", "../../bin/web", "the folder for fetched packages")
	flag.StringVar(&o.out, "out", "../../internal/api/page/assets", "the folder for the result")
	flag.StringVar(&o.registry, "registry", os.Getenv("PYTH_ON_NPM_REGISTRY"), "the URL of the npm registry (default: the registry in npm's configuration)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := build(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

type options struct{ source, client, cache, out, registry string }

func build(ctx context.Context, o options) error {
	locked, err := readLockfile(o.source)
	if err != nil {
		return err
	}
	modules, err := install(ctx, o, locked)
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
