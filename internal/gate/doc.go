// Package gate decides for protected services whether a request is let in: by the Bearer token that comes with it and the
// TokenPolicy of the service. Every replica decides from memory; a request costs no call to the API server.
//
// Read it in the order in which data flow: directory.go follows the objects and policy.go compiles them, with keys from
// sources.go; decide.go judges a request, which request.go has read, and headers.go says who calls; handler.go answers reverse
// proxies by HTTP, extauthz.go Envoy by gRPC. docs/decisions/0031-how-the-gate-decides.md tells why it is so.
package gate
