# The pinned tools and what they check. Versions: hack/tools/go.mod.

# A change of version, of our linter's main or of Go gives another folder, so that nobody ever runs yesterday's tool.
TOOLS := $(CURDIR)/.cache/tools/$(shell cd hack/tools && { cat go.mod go.sum golangci-lint/main.go; go env GOVERSION; } | cksum | cut -d ' ' -f 1)
CONTROLLER_GEN := $(TOOLS)/controller-gen
GOLANGCI_LINT := $(TOOLS)/golangci-lint

$(CONTROLLER_GEN):
	@echo "building controller-gen (once, about a minute)"
	@go build -C hack/tools -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(GOLANGCI_LINT):
	@echo "building golangci-lint with kube-api-linter (once, 2 to 5 minutes)"
	@go build -C hack/tools -o $@ ./golangci-lint

.PHONY: tools generate fmt lint verify

tools: $(CONTROLLER_GEN) $(GOLANGCI_LINT) ## Build the pinned tools into .cache/tools

# Folders that hold nothing but generated files are emptied first, so that what lost its source disappears.
generate: $(CONTROLLER_GEN) ## Generate deep copies, apply-configurations, CRDs, RBAC and webhook manifests, and the chart's copies
	rm -rf api/v1alpha1/applyconfiguration config/crd/bases
	$(CONTROLLER_GEN) object applyconfiguration crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=keyturn-manager webhook paths=./... output:rbac:dir=config/rbac output:webhook:dir=config/webhook
	rm -rf charts/keyturn/files/crds
	mkdir -p charts/keyturn/files
	cp -R config/crd/bases charts/keyturn/files/crds
	cp config/crd/protection.yaml charts/keyturn/files/protection.yaml
	cp config/rbac/role.yaml charts/keyturn/files/role.yaml
	cp config/webhook/manifests.yaml charts/keyturn/files/webhook.yaml
	go run -C hack/release ./valuestable ../../charts/keyturn

fmt: $(GOLANGCI_LINT) ## Format all Go code
	$(GOLANGCI_LINT) fmt

lint: $(GOLANGCI_LINT) ## Lint all Go code, and the API against Kubernetes API conventions
	$(GOLANGCI_LINT) run ./...
	$(GOLANGCI_LINT) run --config .golangci-kal.yaml ./api/...
	cd hack/release && $(GOLANGCI_LINT) run ./...
	cd hack/security && $(GOLANGCI_LINT) run ./...

verify: $(CONTROLLER_GEN) $(GOLANGCI_LINT) ## Check that generated files, go.mod files and formatting are up to date
	go run ./hack/verify -tools $(TOOLS)
