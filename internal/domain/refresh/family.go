package refresh

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"time"
)

// Grant is what a client was granted, once and for all tokens of the family. Whether it would be granted now is for the token
// service to judge, each time that a token is used.
type Grant struct {
	// Issuer is the SigningKey.
	Issuer Object `json:"issuer"`
	// Client is the TokenClient, and ClientID its client_id.
	Client   Object `json:"client"`
	ClientID string `json:"clientID"`
	// Subject is the "sub" of the access tokens.
	Subject string `json:"subject"`
	// ServiceAccount is the one that the client or the subject was when the grant was made; nil if it was none.
	ServiceAccount *Object `json:"serviceAccount,omitempty"`
	// Actor is the "act" claim of delegated tokens (RFC 8693 section 4.1), a JSON object; nil if nobody else acts.
	Actor json.RawMessage `json:"actor,omitempty"`
	// Audiences and Scopes are the most that a token of the family may have.
	Audiences []string `json:"audiences,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	// Context is what the token service needs to make further claims again, in a form of its own: a JSON value, or nil.
	Context json.RawMessage `json:"context,omitempty"`
}

// Object is a Kubernetes object. Another one of the same name has another UID.
type Object struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// Lifetimes say how long refresh tokens live, in whole seconds and at least one.
type Lifetimes struct {
	// Idle is how long one token can be used.
	Idle time.Duration
	// Absolute is how long the family can be refreshed, from the first token on.
	Absolute time.Duration
}

// Reason is why a family was revoked.
type Reason string

// The reasons.
const (
	// ReasonReused means that one of its tokens was used a second time.
	ReasonReused Reason = "Reused"
	// ReasonClient means that its client asked for it (RFC 7009).
	ReasonClient Reason = "Client"
	// ReasonTokenRevocation means that a TokenRevocation concerns it.
	ReasonTokenRevocation Reason = "TokenRevocation"
)

// Family is a grant and its newest refresh token.
type Family struct {
	// ID is 32 hexadecimal digits. It may be shown.
	ID string
	Grant
	// CreatedAt is when the first token was issued.
	CreatedAt time.Time
	// ExpiresAt is from when on no token of the family can be used, however fresh.
	ExpiresAt time.Time
	// Newest is the token that can be used.
	Newest Issued
	// RevokedAt is zero unless the family was revoked.
	RevokedAt time.Time
	Reason    Reason
}

// Issued is what is known of a token that was handed out.
type Issued struct {
	Hash     Hash
	IssuedAt time.Time
	// ExpiresAt is from when on it cannot be used; never after the family's.
	ExpiresAt time.Time
}

// Start begins a family and issues its first token.
func Start(grant Grant, lifetimes Lifetimes, now time.Time) (Family, Token) {
	var family [familyBytes]byte
	_, _ = rand.Read(family[:]) // as in newToken
	t := newToken(family)
	f := Family{
		ID: t.FamilyID(), Grant: grant,
		CreatedAt: seconds(now), ExpiresAt: seconds(now.Add(lifetimes.Absolute)),
	}
	f.Newest = f.issue(t, lifetimes.Idle, now)
	return f, t
}

// Rotate issues the successor of a token that is [Usable]. idle is how long that can be used.
func (f Family) Rotate(used Token, idle time.Duration, now time.Time) (Family, Token) {
	t := newToken(used.family())
	f.Newest = f.issue(t, idle, now)
	return f, t
}

func (f Family) issue(t Token, idle time.Duration, now time.Time) Issued {
	expiresAt := seconds(now.Add(idle))
	if f.ExpiresAt.Before(expiresAt) {
		expiresAt = f.ExpiresAt
	}
	return Issued{Hash: t.Hash(), IssuedAt: seconds(now), ExpiresAt: expiresAt}
}

// Revoke ends the family. One that is revoked already stays as it is.
func (f Family) Revoke(reason Reason, now time.Time) Family {
	if f.RevokedAt.IsZero() {
		f.RevokedAt, f.Reason = seconds(now), reason
	}
	return f
}

// EndsAt is from when on no token of the family can be used unless it is refreshed before. Nothing is lost by forgetting it then.
func (f Family) EndsAt() time.Time { return f.Newest.ExpiresAt }

// Judge says what a token of this family is worth. One that is [Reused] must lead to the family's revocation.
//
// A used token counts as reused also after it would have expired: its owner may come late, and a thief has been refreshing since.
func (f Family) Judge(t Token, now time.Time) State {
	hash := t.Hash()
	switch {
	case t.IsZero() || t.FamilyID() != f.ID:
		return Unknown
	case !f.RevokedAt.IsZero():
		return Revoked
	case !now.Before(f.ExpiresAt):
		return Expired
	case subtle.ConstantTimeCompare(hash[:], f.Newest.Hash[:]) == 0:
		return Reused
	case !now.Before(f.Newest.ExpiresAt):
		return Idle
	default:
		return Usable
	}
}

func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
