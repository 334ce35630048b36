// Package denylist has the deny list of every SigningKey in the memory of a replica: compiled from the TokenRevocations and from the keys
// that are revoked, as the caches show them. A revocation counts from the moment in which the watch delivers it.
//
// The list of a SigningKey is an immutable snapshot. Whoever judges a token asks for it each time, which takes no lock and no call once it
// is compiled; a change only marks it as old, so that a thousand changes at once cost one compilation.
package denylist
