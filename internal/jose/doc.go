// Package jose signs and verifies JSON Web Tokens and reads and writes the keys that do it. It is the only package that
// imports the JOSE library, from which it has the form of keys, and it narrows JOSE to one profile; signatures are package crypto's own:
//
//   - The key decides the algorithm (RFC 8725 section 3.1). A token whose alg is not its key's alg is refused; none and
//     the HMAC algorithms do not exist here.
//   - Each token names its key by kid, and each kid is the key's RFC 7638 thumbprint. No other header chooses a key:
//     tokens that carry jku, x5u, jwk or x5c are refused, and so are crit and b64. Headers without meaning for this
//     package are ignored, as RFC 7515 section 4 asks.
//   - Text has one form: no padding, whitespace or stray bits in base64url, no member named twice in a JSON object, and
//     sizes have limits.
//
// Time, issuer and audience are for the caller to judge.
//
// No error of this package quotes its input, because the input may be a token or a private key. The types that hold one
// print, log and marshal without it.
package jose
