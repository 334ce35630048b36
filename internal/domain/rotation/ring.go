package rotation

import (
	"fmt"
	"slices"
	"time"
)

// The bounds of a published set.
const (
	// MaxKeys is the most keys a ring ever publishes.
	MaxKeys = 10
	// maxRoutineKeys is the most keys a planned rotation fills: one place stays free for the key that must sign at once
	// when a ring is lost or its only key is revoked.
	maxRoutineKeys = MaxKeys - 1
	// maxDenials bounds the deny list; a policy can name as many key IDs as that.
	maxDenials = 64
)

// State is where a key stands in its life.
type State string

// The states of a key in a ring. A revoked key is in no ring: see Denial.
const (
	// Pending means published, or about to be, and not signing yet.
	Pending State = "Pending"
	// Active means signing; exactly one key of a ring is.
	Active State = "Active"
	// Retired means published and no longer signing; the private half is destroyed.
	Retired State = "Retired"
)

// Key is one published key. Instants are whole seconds, UTC; the zero time means "not yet".
type Key struct {
	// ID is the key ID ("kid"), unique in the ring.
	ID string
	// Algorithm is the name of its signature algorithm; this package only compares it.
	Algorithm string
	State     State
	CreatedAt time.Time
	// PublishedAt is when every copy of the published set was seen to hold the key. Only a Pending key waits for it.
	PublishedAt time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time
	// LongestToken is the longest life a token signed by this key may have: the largest that was in force while it was
	// Active. Signers keep to it, so that a longer life is granted only after the ring has recorded it.
	LongestToken time.Duration
	// Margin is what retirement adds to LongestToken: the largest Policy.Margin seen since the key became Active.
	Margin time.Duration
	// Superseded says that an orderly rotation away from this Active key was requested.
	Superseded bool
	// Recovered says that only the public half was found after the ring had been lost.
	Recovered bool
}

// RemoveAfter is when the last token that a Retired key could have signed has expired by every clock; zero for others.
func (k Key) RemoveAfter() time.Time {
	if k.State != Retired {
		return time.Time{}
	}
	return k.RetiredAt.Add(k.LongestToken + k.Margin)
}

// Denial is a revoked key. It is denied until the last token it could have signed has expired, because some verifiers
// never forget a key they have fetched.
type Denial struct {
	ID        string
	Algorithm string
	CreatedAt time.Time
	RevokedAt time.Time
	Until     time.Time
}

// Ring is the keys that are published, and the memory that keeping the promise needs.
type Ring struct {
	// Generation counts the changes of the ring, so that a copy made from an older ring can be told from a newer one.
	Generation int64
	// Keys are newest first.
	Keys []Key
	// Denied are the revoked keys, newest first.
	Denied []Denial
	// Lead is the Policy.Lead that was last in force.
	Lead time.Duration
	// CachesUntil is until when verifiers may keep a set that they fetched under a longer lead than today's.
	CachesUntil time.Time
	// RotateRequest is the last request for a rotation that was honoured.
	RotateRequest string
}

// ActiveKey returns the key that signs. The second result is false for an empty ring only.
func (r Ring) ActiveKey() (Key, bool) {
	return r.find(func(k Key) bool { return k.State == Active })
}

// Key returns the key of that ID.
func (r Ring) Key(id string) (Key, bool) {
	return r.find(func(k Key) bool { return k.ID == id })
}

// TokenLife is how long after it was issued a token can matter to anybody: the longest that any key of the ring may have given one, or the
// policy allows, and the margin by which a Retired key is kept longer.
func (r Ring) TokenLife(p Policy) time.Duration {
	longest := p.LongestToken + p.Margin()
	for _, k := range r.Keys {
		longest = max(longest, k.LongestToken+k.Margin)
	}
	return longest
}

// IsDenied says whether the key of that ID was revoked and could still have live tokens.
func (r Ring) IsDenied(id string) bool {
	return slices.ContainsFunc(r.Denied, func(d Denial) bool { return d.ID == id })
}

func (r Ring) find(match func(Key) bool) (Key, bool) {
	if i := slices.IndexFunc(r.Keys, match); i >= 0 {
		return r.Keys[i], true
	}
	return Key{}, false
}

// clone copies the ring, so that what is decided leaves the caller's ring alone.
func (r Ring) clone() Ring {
	r.Keys = slices.Clone(r.Keys)
	r.Denied = slices.Clone(r.Denied)
	return r
}

// Equal says whether two rings are the same in everything but the Generation.
func (r Ring) Equal(other Ring) bool {
	return slices.Equal(r.Keys, other.Keys) && slices.Equal(r.Denied, other.Denied) &&
		r.Lead == other.Lead && r.CachesUntil.Equal(other.CachesUntil) && r.RotateRequest == other.RotateRequest
}

// Check says why a ring that was read back cannot be one that this package made, or returns nil.
func (r Ring) Check() error {
	if len(r.Keys) == 0 || len(r.Keys) > MaxKeys {
		return fmt.Errorf("ring has %d keys, want 1 to %d", len(r.Keys), MaxKeys)
	}
	if len(r.Denied) > maxDenials {
		return fmt.Errorf("ring denies %d keys, want at most %d", len(r.Denied), maxDenials)
	}
	seen := map[string]bool{}
	active := 0
	for _, k := range r.Keys {
		if seen[k.ID] {
			return fmt.Errorf("key %q is in the ring twice", k.ID)
		}
		seen[k.ID] = true
		if err := k.check(); err != nil {
			return fmt.Errorf("key %q: %w", k.ID, err)
		}
		if k.State == Active {
			active++
		}
	}
	if active != 1 {
		return fmt.Errorf("ring has %d Active keys, want 1", active)
	}
	return nil
}

func (k Key) check() error {
	if k.LongestToken < 0 || k.Margin < 0 {
		return fmt.Errorf("has a negative duration")
	}
	switch k.State {
	case Pending:
		return wholeSeconds(k.CreatedAt)
	case Active:
		return wholeSeconds(k.CreatedAt, k.ActivatedAt)
	case Retired:
		return wholeSeconds(k.CreatedAt, k.RetiredAt)
	default:
		return fmt.Errorf("state %q is none of %s, %s, %s", k.State, Pending, Active, Retired)
	}
}

func wholeSeconds(instants ...time.Time) error {
	for _, t := range instants {
		if t.IsZero() {
			return fmt.Errorf("an instant that its state needs is missing")
		}
		if t.Nanosecond() != 0 {
			return fmt.Errorf("an instant is not a whole second")
		}
	}
	return nil
}

// NeedsPrivate says whether the private half of the key may exist: it signs now, or will. Every other key's is destroyed.
func (k Key) NeedsPrivate() bool {
	return k.State == Pending || k.State == Active
}
