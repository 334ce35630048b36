package discovery

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// kind is which document of an issuer a path names.
type kind int

const (
	jwks kind = iota
	configuration
	revocations
)

const (
	wellKnown = "/.well-known/"
	// mostParts is one more than any path has.
	mostParts = 5
)

// parsePath says what a path names: a document below /<namespace>/<name>, or, as RFC 8414 section 3.1 builds it, a
// configuration document as /.well-known/<document>/<namespace>/<name>. The prefix is the path of the external URL. It may be
// there or not: some proxies take it away before they forward a request. It adds at least one part, so that no path is one
// document's with and another's without it.
func parsePath(path, prefix string) (types.NamespacedName, kind, bool) {
	document, path := cutWellKnown(path)
	for _, path := range []string{path, strings.TrimPrefix(path, prefix)} {
		rest, rooted := strings.CutPrefix(path, "/")
		parts := strings.SplitN(rest, "/", mostParts)
		switch n := len(parts); {
		case !rooted:
		case document != "" && n == 2 && isConfiguration(document),
			document == "" && n == 4 && parts[2] == ".well-known" && isConfiguration(parts[3]):
			return types.NamespacedName{Namespace: parts[0], Name: parts[1]}, configuration, true
		case document == "" && n == 3 && parts[2] == "jwks.json":
			return types.NamespacedName{Namespace: parts[0], Name: parts[1]}, jwks, true
		case document == "" && n == 3 && parts[2] == "revocations.json":
			return types.NamespacedName{Namespace: parts[0], Name: parts[1]}, revocations, true
		}
	}
	return types.NamespacedName{}, 0, false
}

// cutWellKnown takes /.well-known/<document> off the beginning, if it is there. No namespace has a dot in its name.
func cutWellKnown(path string) (document, rest string) {
	after, ok := strings.CutPrefix(path, wellKnown)
	if !ok {
		return "", path
	}
	document, rest, _ = strings.Cut(after, "/")
	return document, "/" + rest
}

// isConfiguration knows the names of OpenID Connect Discovery section 4 and RFC 8414 section 3.
func isConfiguration(document string) bool {
	return document == "openid-configuration" || document == "oauth-authorization-server"
}
