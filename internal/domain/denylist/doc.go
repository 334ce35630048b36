// Package denylist is what a deny list says: which tokens of an issuer were taken back before they expire, and for how long that has to
// be remembered. It is pure: the clock is an argument.
//
// A List is compiled from entries. Whoever judges tokens asks it; Document is how it is published.
package denylist
