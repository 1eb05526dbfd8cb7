# The commands that developers and .ci/run share. CONTRIBUTING.md explains them.

GO       ?= go
FUZZTIME ?= 60s

# The linter is built once for each of its versions and each of Go's, and kept in
# the user's cache, where every checkout finds it.
CACHE  ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/usher
KEY    := $(shell { $(GO) env GOVERSION; cat internal/tools/go.mod internal/tools/go.sum; } | cksum | cut -d ' ' -f 1)
LINTER := $(CACHE)/golangci-lint-$(KEY)

.PHONY: check test vet lint fmt fmt-check race database contract brokers observability processes differential fuzz fuzz-smoke tidy-check e2e bench bench-quick bench-smoke peers soak size

# Some tests, such as those that count allocations, run only without the race
# detector: test and race are both of the check.
check: fmt-check vet tidy-check lint test race database contract brokers observability processes differential fuzz-smoke bench-smoke e2e

test:
	$(GO) test ./...

# The modules beside the root, found and never listed: but for tools, which has no code of ours, and
# bench, whose servers are written as their users write them.
MODULES = $(shell find . -mindepth 2 -name go.mod -not -path '*/testdata/*' \
	-not -path './internal/tools/*' -not -path './internal/bench/*' -exec dirname {} + | sort)

vet:
	$(GO) vet ./...
	@set -e; for dir in $(MODULES); do echo "vet $$dir"; $(GO) -C $$dir vet ./...; done

lint: $(LINTER)
	$(LINTER) run ./...
	@set -e; for dir in $(MODULES); do \
		echo "lint $$dir"; \
		(cd $$dir && LOG_LEVEL=error $(LINTER) run --config "$(CURDIR)/.golangci.yml" ./...); \
	done

fmt: $(LINTER)
	$(LINTER) fmt ./...

fmt-check: $(LINTER)
	$(LINTER) fmt --diff ./...

race:
	CGO_ENABLED=1 $(GO) test -race -shuffle=on ./...

# The example with SQLite, whose driver is a module of its own.
database:
	CGO_ENABLED=1 $(GO) -C examples/transactions test -race -shuffle=on ./...

# What wsroute/asyncapi writes, judged by a reader of JSON Schema that is not usher's.
contract:
	CGO_ENABLED=1 $(GO) -C wsroute/asyncapi/internal/schematest test -race -shuffle=on ./...

# The adapters of brokers and their example, modules of their own: with a NATS server within the tests,
# and with a redis-server, without which they are skipped, unless CI_BROKERS is set.
brokers:
	CGO_ENABLED=1 $(GO) -C wsroute/wsnats test -race -shuffle=on ./...
	CGO_ENABLED=1 $(GO) -C wsroute/wsredis test -race -shuffle=on ./...
	CGO_ENABLED=1 $(GO) -C examples/cluster test -race -shuffle=on ./...

# The adapters of Prometheus and OpenTelemetry and their example, modules of their own. Allocations are
# counted without the race detector.
observability:
	@set -e; for dir in wsroute/wsprom wsroute/wsotel examples/observability; do \
		CGO_ENABLED=1 $(GO) -C $$dir test -race -shuffle=on ./...; \
		$(GO) -C $$dir test -run Allocations ./...; \
	done

# Three processes lose their broker, a route between brokers, and each other; PROCESSES=full does so
# ten times in place of two. The rate is measured without the race detector.
processes:
	CGO_ENABLED=1 $(GO) -C internal/processes test -race -count=1 -v -skip TestRate .
	$(GO) -C internal/processes test -count=1 -v -run TestRate .

# The same questions to usher and to others, from the seeds of the fuzz targets; fuzz
# asks more.
differential:
	CGO_ENABLED=1 $(GO) -C internal/differential test -race -shuffle=on ./...

# Fuzz targets are found in all modules, never listed. Each runs by itself, as go test
# wants it. Where connections or random signatures vary the coverage, minimising would take all the
# time.
fuzz:
	@grep -rE --include='*_test.go' --exclude-dir=testdata '^func Fuzz[A-Za-z0-9_]*\(' . | sort | \
	sed -E 's|^(.*)/[^/]*_test\.go:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | \
	while read -r dir name; do \
		echo "$$dir $$name"; \
		$(GO) -C "$$dir" test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s . </dev/null || exit 1; \
	done

# A number of inputs, not a time: a slow machine would be told that its time is over. The scanner
# of messages, which is ours, gets some seconds' worth.
fuzz-smoke:
	@$(MAKE) --no-print-directory fuzz FUZZTIME=300x
	$(GO) test ./wsroute -run '^$$' -fuzz '^FuzzEnvelope$$' -fuzztime 5000x -fuzzminimizetime 1x

# The page of the chat example, in a browser, and the TypeScript client, with node. Without a
# browser, nginx, node or npm the tests that need it are skipped, unless CI_E2E is set.
e2e:
	$(GO) -C e2e test -count=1 -v ./...

# The same room in other frameworks, whose servers it installs; takes the machine for itself.
peers:
	$(GO) -C internal/peers run .

# Clients that connect, talk, stall, vanish, are revoked and expire by chance.
# SOAK_SEED=n repeats a run.
soak:
	SOAK=3m $(GO) test -count=1 -v -timeout 10m -run '^TestSoak$$' ./internal/faults

# Lines of production code, without blanks and comments.
size:
	@find depends internal/graph internal/bind internal/wsconn wsroute security -name '*.go' ! -name '*_test.go' \
		! -path '*/asyncapi/*' ! -path '*/wsnats/*' ! -path '*/wsredis/*' ! -path '*/wsotel/*' ! -path '*/wsprom/*' | \
		xargs cat | grep -vcE '^\s*(//|$$)'

tidy-check:
	@find . -name go.mod -not -path '*/testdata/*' | sort | while read -r mod; do \
		dir=$$(dirname "$$mod"); \
		$(GO) -C "$$dir" mod tidy -diff || { echo "run 'go mod tidy' in $$dir"; exit 1; }; \
	done

# Each takes the machine for itself: what else runs moves the ratios.
# `go run` would leave its program behind when it is stopped.
bench:
	$(GO) -C internal/bench build -o "$(CURDIR)/.bin/bench" .
	exec .bin/bench -write docs/performance.md

bench-quick:
	$(GO) -C internal/bench build -o "$(CURDIR)/.bin/bench" .
	exec .bin/bench quick

# No timing is asserted: this only sees to it that the benchmarks run, and that
# the servers they compare answer the same.
bench-smoke:
	$(GO) -C internal/bench vet ./...
	$(GO) -C internal/bench test -bench . -benchtime 1x ./...

$(LINTER):
	@mkdir -p "$(CACHE)"
	$(GO) -C internal/tools build -o "$@.$$$$" github.com/golangci/golangci-lint/v2/cmd/golangci-lint && mv "$@.$$$$" "$@"
