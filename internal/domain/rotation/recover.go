package rotation

import (
	"slices"
	"time"
)

// Found is a public key that was found published although the ring does not know it.
type Found struct {
	ID        string
	Algorithm string
}

// lostGenerations is how far a recovered ring's Generation is ahead of the published one: more than the changes that a
// lost ring can have seen since its copies were written, so that it is known as the older one when somebody restores it.
const lostGenerations = 1 << 20

// Recover adds to the ring, which may be empty, the published keys that it does not know: as Retired, because tokens
// they signed can be alive as long as longest says, although nothing more is known of them. The newest come first in
// found; what does not fit is left out. A Pending key of an older ring is not believed: it may have signed since, and is
// Retired if it is found, or it was given up, and is gone. Nor is an Active one that is not found: it may have been
// revoked since, and its denial forgotten. The ring's Generation moves far past the published one.
func (r Ring) Recover(found []Found, generation int64, p Policy, longest time.Duration, now time.Time) Ring {
	a := &advance{ring: r.clone(), policy: p, now: now}
	a.ring.Keys = slices.DeleteFunc(a.ring.Keys, func(k Key) bool {
		isFound := slices.ContainsFunc(found, func(f Found) bool { return f.ID == k.ID })
		return k.State == Pending || k.State == Active && !isFound
	})
	for _, f := range found {
		if _, known := a.ring.Key(f.ID); known || a.ring.IsDenied(f.ID) || len(a.ring.Keys) >= maxRoutineKeys {
			continue
		}
		a.ring.Keys = append(a.ring.Keys, Key{
			ID: f.ID, Algorithm: f.Algorithm, State: Retired, Recovered: true,
			CreatedAt: a.floor(), RetiredAt: a.ceil(),
			LongestToken: max(longest, p.LongestToken), Margin: p.Margin(),
		})
	}
	a.ring.Generation = max(r.Generation, generation) + lostGenerations
	return a.ring
}

// IsRecovered says whether the ring still publishes a key whose ring had been lost.
func (r Ring) IsRecovered() bool {
	_, ok := r.find(func(k Key) bool { return k.Recovered })
	return ok
}
