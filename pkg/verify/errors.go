package verify

import (
	"errors"
	"fmt"
	"time"
)

// Why a request or a token is refused; match with [errors.Is]. The texts go to the caller as error_description (RFC 6750
// section 3): they say why, and nothing that is not public or the caller's own. What an error adds to them is for the log
// of whoever runs the service. No error quotes a token.
var (
	// ErrNoToken means that a request has no Authorization header, or one of another scheme.
	ErrNoToken = errors.New("the request has no Bearer token")
	// ErrRequest means several Authorization headers, or one that is not the word Bearer and a token.
	ErrRequest = errors.New("the request does not have one Authorization header with the word Bearer and one token")
	// ErrMalformed means that the token does not have the form that its RFC asks for, or lacks exp or kid.
	ErrMalformed = errors.New("the token is not a JSON Web Token in the form that is accepted")
	// ErrType means that typ is not one of [Issuer].Types.
	ErrType = errors.New("the token is of a type that is not accepted")
	// ErrAlgorithm means that alg is not the one of the key, or not one of [Issuer].Algorithms.
	ErrAlgorithm = errors.New("the token is signed with an algorithm that is not accepted")
	// ErrIssuer means that iss is not one of the verifier's.
	ErrIssuer = errors.New("the token is of an issuer that is not accepted")
	// ErrUnknownKey means that the issuer does not publish the key, or does not any more.
	ErrUnknownKey = errors.New("the token is signed by a key that its issuer does not publish")
	// ErrSignature means that the signature is not the key's over this token.
	ErrSignature = errors.New("the token has a signature that does not verify")
	// ErrExpired means that exp has come.
	ErrExpired = errors.New("the token has expired")
	// ErrNotYetValid means that nbf has not come.
	ErrNotYetValid = errors.New("the token is not valid yet")
	// ErrAudience means that aud has none of [Issuer].Audiences.
	ErrAudience = errors.New("the token is for another audience")
	// ErrScope means that the token lacks a scope.
	ErrScope = errors.New("the token lacks a scope that is required")
	// ErrRevoked means that [Issuer].DenyList names the token.
	ErrRevoked = errors.New("the token has been revoked")
	// ErrKeysUnavailable means that the issuer's keys cannot be had now: nothing can be said about the token. The error
	// also wraps the cause.
	ErrKeysUnavailable = errors.New("the keys that verify the token are not at hand")
	// ErrDenyListUnavailable means the same of [Issuer].DenyList.
	ErrDenyListUnavailable = errors.New("the deny list that the token is judged by is not at hand")
)

// describe returns the text of an error that callers may see.
func describe(err error) string {
	for _, known := range []error{
		ErrNoToken, ErrRequest, ErrMalformed, ErrType, ErrAlgorithm, ErrIssuer, ErrUnknownKey, ErrSignature,
		ErrExpired, ErrNotYetValid, ErrAudience, ErrScope, ErrRevoked, ErrKeysUnavailable, ErrDenyListUnavailable,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the token is not accepted"
}

// unavailableError is ErrKeysUnavailable or ErrDenyListUnavailable with its cause, and when to ask again.
type unavailableError struct {
	what  error
	cause error
	after time.Duration
}

func (e *unavailableError) Error() string   { return fmt.Sprintf("%v: %v", e.what, e.cause) }
func (e *unavailableError) Unwrap() []error { return []error{e.what, e.cause} }
