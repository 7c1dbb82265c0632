# Gatebook. `make help` lists what can be made.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
export CGO_ENABLED = 0

.PHONY: help build run test race lint fuzz bench e2e generate package clean

help: ## what can be made
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/  make \1\t\2/' | expand -t 20

build: ## bin/gatebook, one static binary
	@test -x bin/gatebook || echo "building; the first time takes a minute"
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/gatebook ./cmd/gatebook

run: build ## the main job on shipped sample logs and the embedded store; ctrl-c ends it
	./bin/gatebook demo

test: ## all tests that need nothing but Go (tests of other needs say what they skip)
	$(GO) vet ./...
	$(GO) test -short ./...

race: ## the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -short -race ./...

e2e: build ## the real binary against a real Elasticsearch (needs a JDK 17 and Maven)
	$(GO) test -count=1 -timeout 30m ./...

lint: ## golangci-lint, installed into bin/ on first use
	@test -x bin/golangci-lint || GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.5.0
	./bin/golangci-lint run ./...

fuzz: ## every fuzz target for FUZZTIME (default 30s) each, FUZZJOBS at once
	.ci/fuzz

bench: build ## jobs A to D beside rsyslog and syslog-ng, then the Go benchmarks of each stage
	$(GO) run ./bench
	$(GO) test -run '^$$' -bench . -benchtime 1s ./event ./parsers ./enrich ./buffer ./inputs/tail ./outputs/... ./store ./agent/pipeline

generate: ## what is made from the field table
	$(GO) generate ./...

package: ## deb and rpm for amd64 and arm64 in dist/
	GO="$(GO)" VERSION="$(VERSION)" packaging/build

clean: ## what was built or left by runs
	rm -rf bin dist bench-work
