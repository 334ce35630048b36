package rotation_test

import (
	"slices"
	"time"
)

// configMap is one copy of the published set, with everything that verifiers who read it can hold.
type configMap struct {
	name       string
	exists     bool
	version    int
	generation int64
	// rolledBack says that it holds what somebody else wrote.
	rolledBack bool
	// held are the sets that were ever in it and that somebody may still hold, newest last. While it exists, the last is
	// what it holds.
	held []*holding
}

// holding is a set of key IDs that was in a copy for a while.
type holding struct {
	set []string
	// since and until are when it was in the copy; until is zero while it is.
	since, until time.Time
	// read is until when somebody may have fetched it, seen until when somebody can: readers lag.
	read, seen time.Time
	// kept is until when a verifier may keep it.
	kept time.Time
}

// set is what the copy holds; nil if it does not exist.
func (c *configMap) set() []string {
	if !c.exists {
		return nil
	}
	return c.held[len(c.held)-1].set
}

func (c *configMap) look() copyView {
	return copyView{exists: c.exists, version: c.version, generation: c.generation, set: c.set()}
}

// write replaces what the copy holds. Readers may find the old set as long as a copy takes to reach them.
func (c *configMap) write(set []string, generation int64, now time.Time, h habits) {
	c.close(now, h)
	c.exists, c.generation, c.rolledBack = true, generation, false
	c.held = append(c.held, &holding{set: slices.Clone(set), since: now, read: now, kept: now.Add(h.cache)})
}

func (c *configMap) remove(now time.Time, h habits) {
	c.close(now, h)
	c.exists = false
}

func (c *configMap) close(now time.Time, h habits) {
	c.version++
	if c.exists {
		last := c.held[len(c.held)-1]
		last.until, last.seen = now, now.Add(h.propagation)
	}
}

// read lets verifiers fetch at every instant until then.
func (c *configMap) read(until time.Time, h habits) {
	for _, s := range c.held {
		last := until
		if !s.until.IsZero() && s.seen.Before(until) {
			last = s.seen
		}
		if last.After(s.read) {
			s.read, s.kept = last, latest(s.kept, last.Add(h.cache))
		}
	}
	const forgotten = time.Minute
	c.held = slices.DeleteFunc(c.held, func(s *holding) bool { return !s.inUse(until.Add(-forgotten)) })
}

// hurry lets nobody read from now on what is older than copies travel now.
func (c *configMap) hurry(now time.Time, h habits) {
	for _, s := range c.held {
		if soon := latest(now, s.until.Add(h.propagation)); !s.until.IsZero() && soon.Before(s.seen) {
			s.seen = soon
		}
	}
}

// inUse says whether a verifier may judge a token by the set at that instant: it keeps it, or fetches it just now.
func (s *holding) inUse(now time.Time) bool {
	return now.Before(s.kept) || s.until.IsZero() || now.Before(s.seen)
}

// keyFacts are what is true of a key that has signed, whatever the ring says.
type keyFacts struct {
	id string
	// signing says that the stored ring names it as the key that signs.
	signing bool
	// until is until when somebody may sign with it, who has not heard that it signs no more.
	until time.Time
	// longest is the longest life that the ring has granted.
	longest time.Duration
	// expiry is the latest "exp" that an honest signer may have written.
	expiry time.Time
	// ready is since when each copy has held the key, for a key that signs without having waited. A set from before says
	// nothing against it.
	ready map[*configMap]time.Time
	// dead says that every token had expired, lost that the key was gone with its ring, revoked that it was compromised.
	dead, lost, revoked bool
	// skew is how far clocks were apart when it was revoked; excused says that they have been further apart since, or that
	// the denial was lost with its ring before the status told of it.
	skew    time.Duration
	excused bool
}

// start lets the key sign.
func (k *keyFacts) start(copies []*configMap, now time.Time, emergency bool) {
	k.signing, k.until, k.dead, k.ready = true, now, false, nil
	if emergency {
		k.ready = map[*configMap]time.Time{}
		for _, c := range copies {
			k.arrive(c, now)
		}
	}
}

// arrive notes that a copy holds the key.
func (k *keyFacts) arrive(c *configMap, now time.Time) {
	if k.ready == nil || !slices.Contains(c.set(), k.id) {
		return
	}
	if _, already := k.ready[c]; !already {
		k.ready[c] = now
	}
}

// tooEarly says whether a set was written before the copy could have held a key that had no time to wait.
func (k *keyFacts) tooEarly(c *configMap, s *holding) bool {
	if k.ready == nil {
		return false
	}
	since, ok := k.ready[c]
	return !ok || !s.since.After(since)
}

// hurry stops signers as soon as they are stopped now.
func (k *keyFacts) hurry(now time.Time, h habits) {
	if soon := now.Add(h.staleness); soon.Before(k.until) {
		k.until = soon
	}
}

// sign lets the fastest clock sign the longest token at every instant until then.
func (k *keyFacts) sign(now, until time.Time, ahead, allowed time.Duration, h habits) {
	if k.signing {
		k.until = latest(k.until, until.Add(h.staleness))
	}
	last := until
	if k.until.Before(until) {
		last = k.until
	}
	if !last.Before(now) {
		k.expiry = latest(k.expiry, last.Add(ahead+min(k.longest, allowed)))
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
