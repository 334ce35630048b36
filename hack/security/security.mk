# Known vulnerabilities and licences. The programs that look are in hack/security, a Go module of its own.

.PHONY: security vulncheck licences

security: vulncheck licences ## Check for known vulnerabilities that can be reached, and for licences that the project does not take

vulncheck:
	@go run -C hack/security ./vulncheck -source $(CURDIR)

licences:
	@go run -C hack/security ./licences -source $(CURDIR)
