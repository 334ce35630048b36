// Package verify lets an application accept the Bearer tokens of Keyturn, and of other issuers of JSON Web Tokens, without
// asking anyone for each: it verifies them by the issuer's public keys, from a mounted file or by HTTPS. It depends on
// nothing but the standard library; interceptors for gRPC are in the package grpcverify below it.
//
//	verifier, err := verify.New(verify.Options{
//		Issuers: []verify.Issuer{{
//			Name:      "https://orders.example.com",
//			Audiences: []string{"https://orders.example.com"},
//			Keys:      verify.File{Path: "/run/jwks/jwks.json"},
//		}},
//	})
//	…
//	mux.Handle("GET /orders", verifier.Require("orders.read")(listOrders))
//
// A handler behind [Verifier.Require] reads who calls it with [FromContext]. [Verifier.Verify] verifies one token, and
// [Verifier.Authenticate] serves other kinds of servers.
//
// # Keys
//
// [File] reads a JWK Set from a file, as it is in the ConfigMap <name>-jwks of a SigningKey; mount the ConfigMap as a folder.
// [URL] fetches it, and [Discovery] also finds out where it is. All of them take over a new set by themselves, whole: a key
// that is not in it any more is forgotten, and with it every token that was remembered for [Options].CacheSize. While a set
// cannot be had, the last one is used for a while ([Fetch].MaxStale), and then no token is accepted.
// Several verifiers of one issuer use a source together by [Share].
//
// Nothing runs in the background. A set is asked for when a token is verified, and nearly always before its time is up, so
// that no request waits for it. A token with a kid that is not in the set makes a source be asked again, but a file at most
// once in a second and a server at most once in 10 seconds, whatever tokens are sent.
//
// Of a set, keys that are no use here are skipped: other algorithms, encryption, RSA below 2048 or above 8192 bits, no kid.
// A set that holds a private key is refused.
//
// A program that has the keys already, gives them by a [Func].
//
// # Revoked tokens
//
// With [Issuer].DenyList a token is refused that the issuer has taken back before it expires, by a TokenRevocation of Keyturn. The
// list stands in the ConfigMap <name>-revocations of a SigningKey and beside its JWKS:
//
//	DenyList: verify.File{Path: "/run/revocations/revocations.json"},
//	DenyList: verify.URL{URL: "https://keyturn.keyturn-system.svc/shop/orders/revocations.json"},
//
// A file is read again after a second, and a mounted ConfigMap follows within a minute or two; a server is asked again as soon as it
// wants to be, but at most every 10 seconds. While the list cannot be had, the last one is used for a while, and then no token is
// accepted, as with keys.
//
// # What a token has to be
//
// One signed token in compact serialization, of at most 16 KiB, each part in canonical base64url, header and payload JSON
// objects in which no name occurs twice. It names its key by kid and is signed with the algorithm of that key. What chooses
// another key or changes the meaning is refused: jku, jwk, x5c, x5u, crit, b64. It has exp, an iss and an aud of yours, and
// a typ that is accepted; dates are numbers from 1970 up to the year 9999. This follows RFC 7515, RFC 7519, RFC 8725 and
// RFC 9068.
//
// # What is not judged
//
// Whether a token was revoked by itself, without a DenyList: an issuer can withdraw keys, and tokens are short-lived for this
// reason. Whether whoever presents the token is its owner: use TLS. And what the subject may do, beyond scopes: that is the application's.
package verify
