package rotation

import "time"

// Found is a public key that was found published although the ring does not know it.
type Found struct {
	ID        string
	Algorithm string
}

// Recover adds to the ring, which may be empty, the published keys that it does not know: as Retired, because tokens
// they signed can be alive as long as longest says, although nothing more is known of them. The newest come first in
// found; what does not fit is left out. The ring's Generation moves past the published one.
func (r Ring) Recover(found []Found, generation int64, p Policy, longest time.Duration, now time.Time) Ring {
	a := &advance{ring: r.clone(), policy: p, now: now}
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
	a.ring.Generation = max(r.Generation, generation)
	return a.ring
}

// IsRecovered says whether the ring still publishes a key whose ring had been lost.
func (r Ring) IsRecovered() bool {
	_, ok := r.find(func(k Key) bool { return k.Recovered })
	return ok
}
