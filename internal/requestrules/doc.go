// Package requestrules compiles and evaluates the rules of a TokenPolicy: CEL expressions that must be true of a request
// before the gate lets it in.
//
// An expression sees claims, those of the token, and request: method, host, path and query. Package expression says what it
// can do with them.
package requestrules
