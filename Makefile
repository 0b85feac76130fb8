# The commands of the project: run, run-cluster, test, test-deep, build, dist, clients,
# bench, lint and fmt. Each works in a clean clone. The command build needs only Go. `make test` runs the tests
# that must pass before a commit. `make test-deep` runs all tests and takes some hours.

.DEFAULT_GOAL := build
.PHONY: run run-cluster test test-deep build dist clients page-packages bench lint fmt

# All builds, tests and checks use the same compiler settings, so that they share
# Go's build cache. CGO is off; only the race detector needs a C compiler.
export CGO_ENABLED := 0
export GOFLAGS := $(GOFLAGS) -trimpath

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
SOURCES := $(shell find . -name '*.go' -o -name '*.sql' -o -name '*.py' -o -name '*.cjs' -o -name '*.ts' -o -name '*.tmpl' -o -name '*.css' -o -name '*.md' -o -name '*.zip' -o -name '*.elf' | grep -v -e '^./bin' -e '^./clients' -e '^./tools' -e _test.go)
say = @printf '\033[1m==>\033[0m %s\n' $(1)
ifeq ($(shell test -t 1 && echo tty),)
say = @printf '==> %s\n' $(1)
endif

build: bin/pyth-on

# bin/pyth-on embeds the guest agent, so build the agent first.
internal/sandbox/guest/bin/pyth-on-guest: $(wildcard internal/sandbox/guest/agent/*.go internal/sandbox/guest/computer/*.go internal/sandbox/guest/files/*.go internal/sandbox/guest/protocol/*.go internal/sandbox/guest/unlock/*.go internal/sandbox/kernel/batch/*.go internal/sandbox/rollback/abi/*.go internal/encrypted/lockbox/*.go internal/printable/*.go internal/workpath/*.go cmd/pyth-on-guest/*.go) go.mod
	$(call say,'Building the guest agent (the first build downloads modules)')
	@go build -ldflags '-s -w' -o $@ ./cmd/pyth-on-guest

internal/sandbox/guest/bin/pyth-on-typescript: $(wildcard cmd/pyth-on-typescript/*.go) go.mod
	$(call say,'Building the TypeScript compiler')
	@go build -ldflags '-s -w' -o $@ ./cmd/pyth-on-typescript

# bin/pyth-on also embeds the executable of sandboxes, which contains gVisor.
internal/sandbox/executable/bin/pyth-on-sandbox: $(wildcard cmd/pyth-on-sandbox/*.go internal/sandbox/kernel/*.go internal/sandbox/kernel/batch/*.go internal/sandbox/kernel/filter/*.go internal/sandbox/kernel/launch/*.go internal/sandbox/rollback/*.go internal/sandbox/rollback/abi/*.go) go.mod
	$(call say,'Building the executable of sandboxes with gVisor inside (a minute the first time)')
	@go build -ldflags '-s -w' -o $@ ./cmd/pyth-on-sandbox

# The page. The tool bundles it with the npm packages in tools/web/packages.
PAGE := internal/api/page/assets/index.html.gz
$(PAGE): $(shell find web -type f) $(wildcard clients/javascript/*.js clients/javascript/*.json tools/web/*.go tools/web/packages/*.tgz) tools/web/go.mod tools/web/go.sum
	$(call say,'Building the page')
	@go -C tools/web run .

# Download the npm packages in web/package-lock.json to tools/web/packages. This is necessary
# only after a change of package-lock.json. The registry is the one in npm's configuration, or
# PYTH_ON_NPM_REGISTRY.
page-packages:
	@go -C tools/web run . -download

EMBEDDED := $(PAGE) internal/sandbox/guest/bin/pyth-on-guest internal/sandbox/guest/bin/pyth-on-typescript internal/sandbox/executable/bin/pyth-on-sandbox

bin/pyth-on: $(EMBEDDED) $(SOURCES) go.mod go.sum
	$(call say,'Building bin/pyth-on with Python inside (a minute the first time)')
	@go build -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/pyth-on

# Make the files of a release in the folder dist. The image needs apt-get.
dist: bin/pyth-on bin/tools/dist
	@bin/tools/dist -repository . -out dist -describe '$(VERSION)'

# Make the packages of the client libraries in the folder dist/clients. This needs
# Python with pip, setuptools and wheel, and npm.
clients:
	@bash scripts/clients dist/clients

run: bin/pyth-on
	@exec bin/pyth-on serve

run-cluster: bin/pyth-on bin/tools/nats-server
	@exec bash scripts/run-cluster

test: bin/pyth-on bin/tools/gotestsum bin/tools/nats-server
	@bash scripts/test

test-deep: bin/pyth-on bin/tools/gotestsum bin/tools/nats-server bin/tools/dist bin/tools/helm
	@bash scripts/test --deep

bench: bin/pyth-on bin/tools/nats-server
	@bash scripts/bench

bin/tools/golangci-lint: tools/go.mod tools/go.sum
	$(call say,'Building the linter (some minutes the first time)')
	@go -C tools build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/tools/gotestsum: tools/go.mod tools/go.sum
	$(call say,'Building the test runner')
	@go -C tools build -o ../$@ gotest.tools/gotestsum

bin/tools/nats-server: tools/nats/go.mod tools/nats/go.sum
	$(call say,'Building the NATS server for tests')
	@go -C tools/nats build -ldflags '-s -w' -o ../../$@ github.com/nats-io/nats-server/v2

bin/tools/dist: $(wildcard tools/dist/*.go) tools/dist/go.mod tools/dist/go.sum
	$(call say,'Building the tool that makes releases')
	@go -C tools/dist build -o ../../$@ .

bin/tools/helm: tools/helm/go.mod tools/helm/go.sum
	$(call say,'Building Helm for tests (some minutes the first time)')
	@go -C tools/helm build -ldflags '-s -w' -o ../../$@ helm.sh/helm/v3/cmd/helm

lint: bin/tools/golangci-lint $(EMBEDDED)
	@go mod verify >/dev/null
	@nice -n 10 bin/tools/golangci-lint run ./...
	@cd tools/bench && nice -n 10 ../../bin/tools/golangci-lint run --config ../../.golangci.yml ./...
	@GOARCH=arm64 nice -n 10 go vet ./cmd/pyth-on-guest

fmt: bin/tools/golangci-lint
	@bin/tools/golangci-lint fmt ./...
