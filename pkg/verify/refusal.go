package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Refusal is how a resource server answers a request that it does not accept (RFC 6750 section 3).
type Refusal struct {
	// Status is 401; 400 for a request that is wrong in itself, 403 for a scope that is missing, 503 while keys, or the deny list, are not at hand.
	Status int
	// Challenge is the value of WWW-Authenticate; empty with 503.
	Challenge string
	// Description is for the caller. It has nothing of the request.
	Description string
	// RetryAfter is when they will be asked for again, whole seconds; 0 unless Status is 503.
	RetryAfter time.Duration
	// Err is one of the errors of this package, with details that are not for the caller.
	Err error
}

// Authenticate judges a request by the values of its Authorization header, as [Verifier.Require] does, for other servers than
// those of net/http: an acceptable token, which has all of the scopes, or a refusal that is not nil.
func (v *Verifier) Authenticate(ctx context.Context, authorization []string, scopes ...string) (*Token, *Refusal) {
	token, err := v.authenticate(ctx, authorization, scopes)
	if err == nil {
		return token, nil
	}
	if v.refused != nil {
		v.refused(ctx, err)
	}
	return nil, v.refuse(err, scopes)
}

func (v *Verifier) authenticate(ctx context.Context, authorization, scopes []string) (*Token, error) {
	compact, err := bearer(authorization)
	if err != nil {
		return nil, err
	}
	token, err := v.Verify(ctx, compact)
	switch {
	case err != nil && !isToken(compact):
		return nil, ErrRequest
	case err != nil:
		return nil, err
	}
	if err := token.Require(scopes...); err != nil {
		return nil, err
	}
	return token, nil
}

// bearer takes the token from an Authorization header (RFC 6750 section 2.1). Of two headers, the server behind might read
// the other one.
func bearer(authorization []string) (string, error) {
	switch len(authorization) {
	case 0:
		return "", ErrNoToken
	case 1:
	default:
		return "", fmt.Errorf("%w: there are %d headers", ErrRequest, len(authorization))
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNoToken
	}
	token = strings.TrimLeft(token, " ")
	if token == "" {
		return "", ErrRequest
	}
	return token, nil
}

// isToken tells whether a text has no other characters than the b64token of RFC 6750 section 2.1. What is accepted has none.
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		isAlphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !isAlphanumeric && strings.IndexByte("-._~+/=", c) < 0 {
			return false
		}
	}
	return true
}

func (v *Verifier) refuse(err error, scopes []string) *Refusal {
	refusal := &Refusal{Status: http.StatusUnauthorized, Description: describe(err), Err: err}
	code := "invalid_token"
	switch {
	case errors.Is(err, ErrKeysUnavailable), errors.Is(err, ErrDenyListUnavailable):
		refusal.Status, refusal.RetryAfter = http.StatusServiceUnavailable, retryAfter(err)
		return refusal
	case errors.Is(err, ErrNoToken):
		code = "" // RFC 6750 section 3.1: a request without authentication gets no error code.
	case errors.Is(err, ErrRequest):
		refusal.Status, code = http.StatusBadRequest, "invalid_request"
	case errors.Is(err, ErrScope):
		refusal.Status, code = http.StatusForbidden, "insufficient_scope"
	}
	refusal.Challenge = fmt.Sprintf(`Bearer realm="%s"`, v.realm)
	if code != "" {
		refusal.Challenge += fmt.Sprintf(`, error="%s", error_description="%s"`, code, refusal.Description)
	}
	if refusal.Status == http.StatusForbidden {
		refusal.Challenge += fmt.Sprintf(`, scope="%s"`, strings.Join(scopes, " "))
	}
	return refusal
}

// retryAfter rounds up: who came earlier would come in vain.
func retryAfter(err error) time.Duration {
	var unavailable *unavailableError
	if !errors.As(err, &unavailable) || unavailable.after <= time.Second {
		return time.Second
	}
	return (unavailable.after + time.Second - 1).Truncate(time.Second)
}
