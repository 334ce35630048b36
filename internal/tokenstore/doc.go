// Package tokenstore keeps what the token service must remember: families of refresh tokens, and which client assertions were
// used. It is kept in a SQLite file, for one replica, or in PostgreSQL, for any number; the rules are those of
// internal/domain/refresh.
//
// Whoever refreshes keeps to this order, so that a failure costs the client nothing:
//
//  1. [Families.Lookup] the token. Whose is it, does its client still exist, would the grant be made now? Nothing changes yet.
//  2. Sign the access token.
//  3. [Families.Use] the refresh token. Only if its state is [refresh.Usable] may both tokens leave the process.
//
// A token that Lookup calls [refresh.Reused] is passed to Use all the same, which revokes its family.
//
// Nothing is opened, and nothing migrated, before it is needed, and every operation tries again: a database that cannot be reached
// at first, or for a while, costs nothing but the operations of that time, which fail with [ErrUnavailable].
package tokenstore
