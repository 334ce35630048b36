// Package grant decides what a client of the token endpoint is granted: what the TokenClient allows and what is asked for go in, the
// terms of a token or an OAuth error come out. Nobody is ever granted an audience or a scope that the client was not allowed, nor, in
// an exchange or a refresh, one that the token before had not.
//
// It is pure: who the client is has been proved before, and whether the SigningKey's policy allows the token is judged after.
package grant
