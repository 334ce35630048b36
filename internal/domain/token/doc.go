// Package token decides when a token is issued, renewed, kept or withdrawn, and what it says.
//
// It is pure: what is asked for, the token at hand, the ring and the instant go in; a decision and the next instant to
// look again come out. Whether to issue is judged by the token at hand itself, never by a record about it, so that a
// restart, an upgrade or a restore issues nothing that is still good.
package token
