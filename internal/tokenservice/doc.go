// Package tokenservice is the token endpoint of every SigningKey's issuer, with introspection and revocation beside it: RFC 6749, RFC
// 7009, RFC 7523, RFC 7662, RFC 8693, and access tokens of RFC 9068.
//
// The protocol, which parameters there are and how an answer looks, is that of the library github.com/zitadel/oidc; whom to believe,
// what to grant, what to sign and what to remember is decided here. Read it in the order in which a request comes: handler.go finds
// the issuer, guard.go refuses what no client sends, limits.go who asks too often, server.go takes over from the library and grants, as
// refresh.go and exchange.go do, and issue.go signs. audit.go tells of every decision.
package tokenservice
