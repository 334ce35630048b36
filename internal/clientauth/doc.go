// Package clientauth proves the OAuth clients that TokenClients are (RFC 6749 section 2.3): by a client secret, by a JWT that the
// client signs (private_key_jwt), or by the token of a Kubernetes ServiceAccount.
//
// Whoever asks it in vain learns nothing: each refusal is ErrClient, and what it adds is for the audit log. A client that does
// not exist costs as much as one whose secret is wrong. No error, log or metric holds a secret, an assertion or a token.
package clientauth
