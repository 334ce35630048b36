// Package clientclaims compiles and evaluates the claims of a TokenClient: CEL expressions whose values become claims of its
// access tokens.
//
// An expression sees client (id, namespace, name, labels), serviceAccount (namespace, name, labels, podName, podUID) and
// request (grantType, audiences, scopes, subjectClaims). What is not known is not there: has(serviceAccount.name) tells
// whether it is. Package expression says what it can do with them.
package clientclaims
