package rotation

import (
	"fmt"
	"time"
)

// Policy is what the owner of a ring asks for, defaults filled in. Durations are whole seconds.
type Policy struct {
	// Algorithm of the next key.
	Algorithm string
	// Period is how long one key signs.
	Period time.Duration
	// VerifierCache is how long the slowest verifier keeps a set it has fetched.
	VerifierCache time.Duration
	// Propagation is how long a mounted copy takes to reach its readers.
	Propagation time.Duration
	// Skew is how far apart any two clocks may be.
	Skew time.Duration
	// LongestToken is the longest life of a token.
	LongestToken time.Duration
	// SignerStaleness is how long a signer that hears nothing goes on signing from the ring it knows.
	SignerStaleness time.Duration
	// Revoked are the IDs of compromised keys.
	Revoked []string
	// RotateRequest asks for an orderly rotation whenever it changes to another value that is not empty.
	RotateRequest string
}

// Lead is how long a key is published before it may sign: the slowest verifier's cache, the slowest copy, and the
// skew between the clock that saw the publication and the clock that activates.
func (p Policy) Lead() time.Duration {
	return p.VerifierCache + p.Propagation + p.Skew
}

// Margin is how much longer than its longest token a Retired key stays published: a signer that has not heard of the
// retirement, or an application that still mounts the private half, signs that much later. The skew counts twice:
// once between the signer's and the verifier's clock, once between the clocks that retire and that remove the key.
func (p Policy) Margin() time.Duration {
	return 2*p.Skew + max(p.SignerStaleness, p.StoreWithin()+max(half(p.SignerStaleness), p.Propagation))
}

// StoreWithin is how long after it was decided a ring may be stored, and not later: until then everybody goes on with the ring
// before, although this one says since when a key is retired or revoked. Signers ask again within half of SignerStaleness, so
// that the other half is there for it.
func (p Policy) StoreWithin() time.Duration {
	const shortest, longest = time.Second, 10 * time.Second
	return max(shortest, min(longest, p.SignerStaleness-half(p.SignerStaleness)))
}

// half is half of a duration in whole seconds, or more.
func half(d time.Duration) time.Duration { return ((d + time.Second) / 2).Truncate(time.Second) }

// KeysAtOnce is the most keys that planned rotation under this policy publishes at one instant.
func (p Policy) KeysAtOnce() int {
	retired := int((p.LongestToken+p.Margin())/p.Period) + 1
	return retired + 2
}

// Check says which durations cannot work together, and what to do, or returns nil.
func (p Policy) Check() error {
	if p.Period <= p.Lead() {
		return fmt.Errorf("period %s is not longer than %s, the sum of verifierCacheDuration %s, propagationDelay %s and clockSkew %s, "+
			"for which a key is published before it signs: lengthen period or shorten the others",
			p.Period, p.Lead(), p.VerifierCache, p.Propagation, p.Skew)
	}
	if n := p.KeysAtOnce(); n > maxRoutineKeys {
		return fmt.Errorf("period %s with maxDuration %s would publish %d keys at once, at most %d are allowed: lengthen period or shorten maxDuration",
			p.Period, p.LongestToken, n, maxRoutineKeys)
	}
	return nil
}
