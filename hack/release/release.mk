# What a release consists of. The programs that make it are in hack/release, a Go module of its own.

# The image says that it is as old as the commit, so that whoever builds it again gets the same bytes.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.PHONY: image dist test-release

image: ## Write the image as an OCI archive into dist, for amd64 and arm64, with SBOMs (VERSION=v1.2.3)
	@echo 'Building the image of $(VERSION), which compiles everything twice the first time.'
	@go run -C hack/release ./image -source $(CURDIR) -output $(CURDIR)/dist -version $(VERSION) -date $(SOURCE_DATE_EPOCH)

dist: ## Write install.yaml and the packaged chart into dist (VERSION=v1.2.3)
	@go run -C hack/release ./dist -source $(CURDIR) -output $(CURDIR)/dist -version $(VERSION) -date $(SOURCE_DATE_EPOCH)

# The tests read files of another module than theirs, of which go test would not notice that they have changed.
test-release:
	go test -C hack/release -count=1 ./...
