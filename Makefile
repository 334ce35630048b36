# Needs Go, git and make; everything else is built from Go modules.

# What `keyturn --version` says and images and charts are tagged with.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || echo v0.0.0-dev)

# How long the demo runs, or each fuzz target, as in DURATION=90s; they decide themselves when this is empty.
DURATION ?=

LOCAL = .cache/bin/local

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
		printf '  make %-12s %s\n' "$$target" "$$text"; done

.PHONY: demo
demo: launcher ## Watch keys rotate and tokens stay valid, on a real API server (DURATION=90s)
	@$(LOCAL) build .cache/bin/demo ./hack/demo
	@.cache/bin/demo $(if $(DURATION),-duration=$(DURATION))

# SHORT=1 does less of each fault, and FAULT=text only those with this text in their name.
SHORT ?=
FAULT ?=

.PHONY: chaos
chaos: launcher ## Kill, freeze and cut off the operator, the API server and etcd, and judge every token (SHORT=1)
	@$(LOCAL) build .cache/bin/chaos ./test/chaos
	@.cache/bin/chaos $(if $(SHORT),-short) $(if $(FAULT),-only='$(FAULT)')

.PHONY: up
up: launcher ## Start a local control plane with the operator, in the background
	@$(LOCAL) up

.PHONY: down
down: launcher ## Stop the local control plane
	@$(LOCAL) down

.PHONY: status
status: launcher ## Tell what of the local control plane runs, and how to use it
	@$(LOCAL) status

# A real cluster

# INSTALL=yes lets cluster-up install Debian packages that are missing.
INSTALL ?=

CLUSTER = .cache/bin/cluster

.PHONY: cluster-up
cluster-up: cluster-launcher ## Start a real cluster of one node (root on Linux; INSTALL=yes installs what is missing)
	@$(CLUSTER) up $(if $(filter yes,$(INSTALL)),--install)

.PHONY: cluster-down
cluster-down: cluster-launcher ## Stop the real cluster, and remove all that it left but its logs
	@$(CLUSTER) down

.PHONY: e2e
e2e: ## Install Keyturn in a real cluster, use it from pods and disturb it (root on Linux; INSTALL=yes as above)
	@INSTALL=$(INSTALL) test/e2e/run

# QUICK=1 measures less, in minutes; TINY=1 next to nothing; ONLY is a regular expression for scenarios.
QUICK ?=
TINY ?=
ONLY ?=

.PHONY: bench
bench: launcher ## Measure against the limit, side by side in one run, into bench.json (QUICK=1 in minutes)
	@assets=$$($(LOCAL) binaries) || exit; $(LOCAL) build .cache/bin/bench ./test/bench || exit; \
	KUBEBUILDER_ASSETS="$$assets" .cache/bin/bench $(if $(QUICK),-quick) $(if $(TINY),-tiny) $(if $(ONLY),-only='$(ONLY)')

.PHONY: binaries
binaries: launcher ## Build the local control plane's programs (once, about ten minutes)
	@$(LOCAL) binaries

.PHONY: build
build: ## Build the programs of Keyturn into bin
	go build -buildvcs=false -ldflags='-X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: proxies
proxies: ## Build the reverse proxies of test/gate that Debian does not have (once, about a minute)
	go build -C hack/caddy -o $(CURDIR)/.cache/bin/caddy .

# The race detector needs cgo, and that a C compiler, which this machine may not have.
RACE = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

.PHONY: test
test: launcher ## Run all tests, on a real API server and with the race detector
	@assets=$$($(LOCAL) binaries) || exit; \
	test -n "$(RACE)" || echo 'There is no C compiler (go env CGO_ENABLED says 0): testing without the race detector.'; \
	echo 'Compiling the tests, which takes minutes the first time, and running them.'; \
	KUBEBUILDER_ASSETS="$$assets" go test $(RACE) -timeout 20m ./...
	@$(MAKE) --no-print-directory test-release
	@go test $(RACE) -v -run '^TestForeignLibrariesAreHere$$' ./test/interop | \
		sed -n 's/^ *[a-z_]*\.go:[0-9]*: /Skipped tests of test\/interop: /p'

# How many simulated worlds to play, from which seed on. SEEDS=1 prints the story of one.
SEEDS ?= 2000
SEED ?= 0

.PHONY: sim
sim: simulator ## Play simulated worlds around the operator, and judge them (SEEDS=2000, SEED=0; SEEDS=1 prints the story)
	@nice .cache/bin/sim -seeds=$(SEEDS) -seed=$(SEED)

.PHONY: sim-mutations
sim-mutations: simulator ## Break the source on purpose, and show that the simulated worlds find it
	@nice .cache/bin/sim -mutations -seeds=1000 -seed=$(SEED)

.PHONY: simulator
simulator:
	@go build -buildvcs=false -o .cache/bin/sim ./test/simulation/sim

# Which targets fuzz runs, as in ONLY='webhook|Verify'.
ONLY ?= .

.PHONY: fuzz
fuzz: ## Fuzz every reader of foreign bytes in turn, each for 30s (DURATION=5m, ONLY='webhook|Verify')
	@hack/fuzz $(or $(DURATION),30s) '$(ONLY)'

# lint, verify and generate
-include hack/tools/tools.mk
# image and dist
-include hack/release/release.mk
# security
-include hack/security/security.mk

.PHONY: clean
clean: down cluster-down ## Stop whatever runs, remove all it left and what was built, except the control plane's programs
	rm -rf .run bin dist .cache/bin

.PHONY: cluster-launcher
cluster-launcher: launcher
	@$(LOCAL) build $(CLUSTER) ./hack/cluster

.PHONY: launcher
launcher:
	@test -x $(LOCAL) || echo 'Compiling the launcher, half a minute the first time.' >&2
	@go build -buildvcs=false -o $(LOCAL) ./hack/local
