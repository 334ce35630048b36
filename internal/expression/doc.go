// Package expression compiles and evaluates CEL expressions of people who are not trusted with the operator's processor: each
// costs at most about ten milliseconds, whoever wrote it.
//
// An expression has CEL's standard functions and macros, optional values, and of the strings extension what looks at a
// string. What makes a string grow faster than by appending (replace, join, format) is left out, as are loops nested deeper
// than two. No error tells a value that the expression does not hold itself.
package expression
