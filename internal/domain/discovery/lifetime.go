package discovery

import "time"

// unsettledLifetime is for how long an answer is good while something unplanned is on its way, such as the key that signs
// instead of a revoked one: it does not wait for verifiers, so they shall look again soon.
const unsettledLifetime = 10 * time.Second

// spreading is the part of VerifierCache over which verifiers come back, so that they do not all do in one second.
const spreading = 10

// Standing is what decides for how long an answer is good. Durations are whole seconds except for Age.
type Standing struct {
	// VerifierCache is how long the slowest verifier may keep a set.
	VerifierCache time.Duration
	// Propagation is how long a set may take to its readers.
	Propagation time.Duration
	// Age is how old what the answer is made of can be.
	Age time.Duration
	// Next is when the set is planned to change; zero if it is not.
	Next time.Time
	// Unsettled says that an unplanned change is on its way.
	Unsettled bool
}

// Lifetimes says for how long an answer may be kept, in whole seconds from 0: by one verifier, and by a cache that stands
// before many of them. The chance is from 0 to 1, another one for each answer.
//
// A set without a key that has been published since P was known to be right before P, so it is given out before P + Age. The
// key signs from P + VerifierCache + Propagation + clock skew. A verifier that heeds the lifetime has dropped the set by then
// if the lifetime and Age together are no longer than VerifierCache. One that does not, and keeps each set that it fetches for
// VerifierCache, has if it was given the set before P + Propagation: a shared cache keeps no set longer than Propagation has
// left, because what it holds ages further at each verifier behind it.
//
// A planned change does not have to be in time for anything, and is waited for nevertheless: who comes back just before it
// would come back twice. Lifetimes end after it, within a tenth of VerifierCache, or before it where they have to.
func (s Standing) Lifetimes(now time.Time, chance float64) (verifier, shared time.Duration) {
	longest := max(0, s.VerifierCache-s.Age)
	spread := s.VerifierCache / spreading
	verifier = longest
	switch {
	case s.Unsettled:
		verifier = min(longest, unsettledLifetime)
	case s.Next.After(now):
		verifier = min(longest, s.Next.Sub(now)+spread)
	}
	verifier -= time.Duration(chance * float64(min(spread, verifier/2)))
	shared = min(verifier, max(0, s.Propagation-s.Age))
	return verifier.Truncate(time.Second), shared.Truncate(time.Second)
}
