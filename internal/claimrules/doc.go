// Package claimrules compiles and evaluates the rules of a SigningKey: CEL expressions that must be true of a token
// before it is signed.
//
// An expression sees claims, the token's claims as they will be signed, and namespace, the name and labels of the
// namespace that asks. It has CEL's standard functions and macros, optional values, and of the strings extension what
// looks at a string. What makes a string grow faster than by appending (replace, join, format) is left out, as are loops
// nested deeper than two: one rule costs at most about ten milliseconds, whoever wrote it.
package claimrules
