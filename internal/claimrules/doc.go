// Package claimrules compiles and evaluates the rules of a SigningKey: CEL expressions that must be true of a token
// before it is signed.
//
// An expression sees claims, the token's claims as they will be signed, and namespace, the name and labels of the
// namespace that asks. Package expression says what it can do with them.
package claimrules
