// Package refresh has the rules of refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14.2): how long one can be used, that
// it can be used once, and that a second use revokes all that came of the same grant.
//
// A family is one grant and the refresh tokens that were issued for it, one after the other; only the newest can be used. Every
// token names its family by a secret of the family. So a family is known by its newest token alone, however often it was
// refreshed, and whoever presents another one has had a token of the family that was used: by its owner or by a thief. See
// docs/decisions/0027-refresh-tokens-are-kept-by-family.md.
//
// The package is pure but for the random numbers of new tokens. Instants are whole seconds, cut off, so that nothing lives longer
// than was said.
package refresh
