package token

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
)

// Action is what shall be done with the token at hand.
type Action int

// The actions.
const (
	// Keep leaves the token at hand: it is good.
	Keep Action = iota
	// Issue replaces the token at hand, if any, by a new one.
	Issue
	// Withdraw takes the token at hand away: the request has ended.
	Withdraw
)

// Decision is what was decided.
type Decision struct {
	Action Action
	// Cause is why a token is issued, for Issue.
	Cause Cause
	// Next is when to look again if nothing else happens, for Keep; the zero time means never.
	Next time.Time
}

// Keys is what a judge must know of the issuer's keys.
type Keys struct {
	Ring rotation.Ring
	// Revoked are the key IDs that the owner names as compromised; the ring may not know of them yet.
	Revoked []string
	// Denied are the tokens that were taken back.
	Denied *denylist.List
}

// IsRevoked says whether the key of that ID is compromised.
func (k Keys) IsRevoked(id string) bool {
	return slices.Contains(k.Revoked, id) || k.Ring.IsDenied(id)
}

func (k Keys) denies(have jose.Token) bool {
	_, denied := k.Denied.Denies(denylist.TokenOf(have))
	return denied
}

// Judge decides what becomes of the token at hand. A nil token means that there is none, or that the key of the ring that
// it names does not verify it. One whose key is not in the ring is never kept, whatever it says.
func Judge(r Request, have *jose.Token, keys Keys, now time.Time) Decision {
	if r.ended(now) {
		return Decision{Action: Withdraw}
	}
	if have == nil {
		return Decision{Action: Issue, Cause: Missing}
	}
	if cause := r.fault(*have, keys, now); cause != "" {
		return Decision{Action: Issue, Cause: cause}
	}
	due := r.RenewalTime(have.IssuedAt, have.Expiry)
	if !now.Before(due) {
		return Decision{Action: Issue, Cause: Renewal}
	}
	return Decision{Action: Keep, Next: due}
}

// ended says whether the request's last instant has come. A token that would live for less than a second is none.
func (r Request) ended(now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Truncate(time.Second).Before(r.ExpiresAt)
}

// fault says why the token at hand must be replaced before its renewal is due, or nothing.
func (r Request) fault(have jose.Token, keys Keys, now time.Time) Cause {
	key, known := keys.Ring.Key(have.KeyID)
	switch {
	case keys.IsRevoked(have.KeyID):
		return KeyRevoked
	case keys.denies(have):
		return TokenRevoked
	case !known:
		return KeyUnpublished
	case key.State == rotation.Retired && have.Expiry.After(key.RemoveAfter()):
		return KeyLeaving
	case have.Type != r.Type:
		return ProfileChanged
	case have.IssuedAt.After(now.Add(r.Skew + time.Second)):
		return IssuedInFuture
	case !r.says(have):
		return ClaimsChanged
	default:
		return ""
	}
}

// says compares what the token says with what a token issued at the same instant would say now. "nbf" is left out: it
// follows from the skew, and a token stays good when only that has changed.
func (r Request) says(have jose.Token) bool {
	got := map[string]any{}
	if err := decode(have.Claims, &got); err != nil {
		return false
	}
	want := r.Payload(have.ID, have.IssuedAt)
	delete(want, "nbf")
	delete(got, "nbf")
	wantJSON, err := Encode(want)
	if err != nil {
		return false
	}
	gotJSON, err := Encode(got)
	return err == nil && bytes.Equal(gotJSON, wantJSON)
}

// RenewalTime is when a token with these instants is replaced: RenewBefore its expiry where that lies within its life,
// otherwise after two thirds of its real life, up to a tenth of that life earlier by the jitter. A token that ends with
// the request is not replaced: its renewal is its expiry.
func (r Request) RenewalTime(iat, exp time.Time) time.Time {
	life := exp.Sub(iat)
	if exp.Equal(r.ExpiresAt) {
		return exp
	}
	after := life*2/3 - time.Duration(r.Jitter*float64(life)/10)
	if r.RenewBefore > 0 && r.RenewBefore < life {
		after = life - r.RenewBefore
	}
	// At least a second passes between two issues, however short the life.
	return iat.Add(max(after.Truncate(time.Second), time.Second))
}

// Terms are the instants of a token about to be issued.
type Terms struct {
	IssuedAt time.Time
	Expiry   time.Time
	KeyID    string
}

// NotLawfulError says why no token may be signed now, although one is asked for.
type NotLawfulError struct {
	// Asked is the life that was asked for; less than a second if the request has ended.
	Asked time.Duration
	// Granted is the longest life that the ring has recorded for the key that signs; zero if no key may sign.
	Granted time.Duration
	// NotBefore is when a token can be issued that is not denied at once; zero if that is not the reason.
	NotBefore time.Time
}

func (e *NotLawfulError) Error() string {
	switch {
	case !e.NotBefore.IsZero():
		return fmt.Sprintf("tokens issued before %s are revoked", e.NotBefore.UTC().Format(time.RFC3339))
	case e.Asked < time.Second:
		return "the token would have expired when it was issued"
	case e.Granted == 0:
		return "no key signs, because the one that did was revoked: another follows"
	default:
		return fmt.Sprintf("a life of %s was asked for, and the key that signs is kept only for tokens of %s", e.Asked, e.Granted)
	}
}

// Lawful returns the terms of a token issued now, or why none may be: a token never outlives the instant at which its
// key leaves the published set, and the ring knows for how long the key will stay. Nor is one issued that is denied at once.
func Lawful(r Request, keys Keys, now time.Time) (Terms, error) {
	active, ok := keys.Ring.ActiveKey()
	iat := now.UTC().Truncate(time.Second)
	exp := r.Expiry(iat)
	life, longest := exp.Sub(iat), active.LongestToken
	if !ok || keys.IsRevoked(active.ID) {
		longest = 0
	}
	if life < time.Second || life > longest {
		return Terms{}, &NotLawfulError{Asked: life, Granted: longest}
	}
	if first := keys.Denied.NotBefore(r.identity(active.ID)); iat.Before(first) {
		return Terms{}, &NotLawfulError{Asked: life, Granted: longest, NotBefore: first}
	}
	return Terms{IssuedAt: iat, Expiry: exp, KeyID: active.ID}, nil
}
