package grant

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Type is a way to ask. Its value is the one of the parameter grant_type.
type Type string

// The grant types.
const (
	ClientCredentials Type = "client_credentials"                              // RFC 6749 section 4.4
	RefreshToken      Type = "refresh_token"                                   // RFC 6749 section 6
	TokenExchange     Type = "urn:ietf:params:oauth:grant-type:token-exchange" //nolint:gosec // RFC 8693 section 2.1, no credential
)

// Client is what a client may ask for.
type Client struct {
	ID string
	// Subject is who the client is: the "sub" of tokens that it asks for itself.
	Subject   string
	Grants    []Type
	Audiences []string
	Scopes    []string
	// Duration is the life of an access token.
	Duration time.Duration
}

// Asked is what a client asks for. Empty audiences and scopes mean all that there are.
type Asked struct {
	Type      Type
	Audiences []string
	Scopes    []string
	// Before is the token that the request rests upon: the subject_token of an exchange, or what a refresh token was granted for. It
	// is nil where the client asks with nothing but its own proof.
	Before *Before
}

// Before is what a token said that a new one is made from.
type Before struct {
	Subject   string
	Audiences []string
	Scopes    []string
	// Actor is its claim act (RFC 8693 section 4.1); nil if nobody acted for the subject.
	Actor json.RawMessage
	// Expiry is the instant that no token made from it outlives; zero means that it sets no limit.
	Expiry time.Time
}

// Terms are what is granted.
type Terms struct {
	Subject   string
	Audiences []string
	Scopes    []string
	// Actor is the claim act; nil if the client is the subject.
	Actor json.RawMessage
	// Duration is the life of the token. It is at least a second.
	Duration time.Duration
	// Delegated says that the subject is somebody else than the client.
	Delegated bool
}

// Decide says what is granted at an instant, or returns an *Error.
func Decide(c Client, a Asked, now time.Time) (Terms, error) {
	if !slices.Contains(c.Grants, a.Type) {
		return Terms{}, &Error{UnauthorizedClient, "spec.grantTypes of the TokenClient does not have this grant_type"}
	}
	terms := Terms{Subject: c.Subject, Audiences: c.Audiences, Scopes: c.Scopes, Duration: c.Duration}
	if a.Before != nil {
		if err := terms.rest(c, a, now); err != nil {
			return Terms{}, err
		}
	}
	var ok bool
	if terms.Audiences, ok = narrow(terms.Audiences, a.Audiences); !ok {
		return Terms{}, &Error{InvalidTarget, "an audience or resource that is asked for is not one of those that the client may have"}
	}
	if terms.Scopes, ok = narrow(terms.Scopes, a.Scopes); !ok {
		return Terms{}, &Error{InvalidScope, "a scope that is asked for is not one of those that the client may have"}
	}
	return terms, nil
}

// rest makes the terms those of a token that is made from another.
func (t *Terms) rest(c Client, a Asked, now time.Time) error {
	before := a.Before
	t.Subject = before.Subject
	t.Delegated = before.Subject != c.Subject
	t.Scopes = common(c.Scopes, before.Scopes)
	if a.Type == TokenExchange {
		// Whoever intercepts a token that is for another service cannot have it exchanged.
		if !slices.Contains(before.Audiences, c.ID) {
			return &Error{InvalidGrant, "the subject_token is not for this client: its aud must contain the client_id"}
		}
		if err := t.act(c, before.Actor); err != nil {
			return err
		}
	} else if t.Audiences = common(c.Audiences, before.Audiences); len(t.Audiences) == 0 {
		return &Error{InvalidGrant, "the client may not have any audience any more that it was granted"}
	}
	if before.Expiry.IsZero() {
		return nil
	}
	if left := before.Expiry.Sub(now).Truncate(time.Second); left < t.Duration {
		t.Duration = left
	}
	if t.Duration < time.Second {
		return &Error{InvalidGrant, "the subject_token expires within a second"}
	}
	return nil
}

// MostActors is how many may have acted for one subject, one after the other.
const MostActors = 4

// act keeps who has acted for the subject before, and adds the client if it is somebody else (RFC 8693 section 4.1).
func (t *Terms) act(c Client, before json.RawMessage) error {
	chain, err := readActors(before)
	if err != nil {
		return &Error{InvalidGrant, "the act of the subject_token cannot be read"}
	}
	t.Actor = before
	if t.Delegated {
		chain++
		if t.Actor, err = addActor(c.Subject, before); err != nil {
			return err
		}
	}
	if chain > MostActors {
		return &Error{InvalidGrant, "too many have acted for the subject already, one after the other: at most 4 may"}
	}
	return nil
}

func addActor(subject string, before json.RawMessage) (json.RawMessage, error) {
	text, err := json.Marshal(struct {
		Subject string          `json:"sub"`
		Before  json.RawMessage `json:"act,omitempty"`
	}{subject, before})
	if err != nil {
		return nil, fmt.Errorf("encode act: %w", err)
	}
	return text, nil
}

var errNoActor = errors.New("an act is no object")

// readActors counts the actors of a claim act, as far as it matters that there are too many.
func readActors(act json.RawMessage) (int, error) {
	count := 0
	for ; len(act) > 0 && count <= MostActors; count++ {
		var claim struct {
			Before json.RawMessage `json:"act"`
		}
		if act[0] != '{' || json.Unmarshal(act, &claim) != nil {
			return count, errNoActor
		}
		act = claim.Before
	}
	return count, nil
}

// narrow returns those of the allowed that are asked for, in the order of the allowed; all if none is.
func narrow(allowed, asked []string) ([]string, bool) {
	if len(asked) == 0 {
		return allowed, true
	}
	for _, one := range asked {
		if !slices.Contains(allowed, one) {
			return nil, false
		}
	}
	return common(allowed, asked), true
}

func common(these, those []string) []string {
	return slices.DeleteFunc(slices.Clone(these), func(one string) bool { return !slices.Contains(those, one) })
}

// ParseScope reads the parameter scope (RFC 6749 section 3.3): nothing but a space is between two of them.
func ParseScope(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
}
