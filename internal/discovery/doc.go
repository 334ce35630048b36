// Package discovery serves what verifiers fetch by HTTPS: the JWK Set of each SigningKey and the configuration document that
// names it. Every replica answers from memory; a request costs no call to the API server.
//
// Read it in the order in which data flow: directory.go follows the objects, published.go says which keys are believed,
// handler.go answers, server.go listens.
package discovery
