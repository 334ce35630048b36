package judge

import (
	"context"
	"strings"
	"time"
)

// Revoke says that somebody is about to revoke a key. Its tokens need not verify any more, and must not once the set without it has
// reached everybody.
func (j *Judge) Revoke(issuer, keyID string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	k := j.issuer(issuer).key(keyID)
	k.revoked, k.lost = j.clock.Now(), false
}

// Restored says that etcd is about to be as it was at an earlier instant. A key that came since is nowhere any more, and a revocation
// since then is forgotten until somebody revokes again, and nothing is owed of its key so long; one from before is not. A key that had left
// may not be known everywhere at once.
func (j *Judge) Restored(from time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock.Now()
	for _, of := range j.issuers {
		for id, k := range of.keys {
			switch {
			case k.published.After(from):
				k.lost = true
			case k.revoked.After(from):
				k.revoked, k.gone, k.lost = time.Time{}, time.Time{}, true
			case !strings.Contains(of.latest, id):
				k.restored = now
			}
		}
	}
}

// judge has every verifier judge every live token.
func (j *Judge) judge(ctx context.Context) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock.Now()
	for id, t := range j.tokens {
		if !now.Before(t.expires) {
			delete(j.tokens, id)
			continue
		}
		j.judgeToken(ctx, now, t)
	}
}

func (j *Judge) judgeToken(ctx context.Context, now time.Time, t token) {
	of := j.issuers[t.issuer]
	if of.latest == "" {
		return // Whoever reads a copy has to wait for the first.
	}
	must, mustNot := j.owed(of, of.key(t.keyID), now)
	for _, v := range of.verifiers {
		err := v.Verify(ctx, now, t.compact)
		switch {
		case must && err != nil:
			j.fail("a verifier that %s refuses %s, %s before its expiry: %v", v.Habit, t.of, t.expires.Sub(now).Round(time.Millisecond), err)
		case mustNot && err == nil:
			j.fail("a verifier that %s accepts %s, whose key %.8s was revoked %s ago", v.Habit, t.of, t.keyID, now.Sub(of.key(t.keyID).revoked))
		case must || mustNot:
		default:
			continue
		}
		j.count.Verifications++
	}
}

// owed says whether a live token of that key must verify by now, or must not any more.
func (j *Judge) owed(of *issuer, k *key, now time.Time) (must, mustNot bool) {
	everywhere := j.declared.Propagation + j.declared.Cache
	if k.lost || now.Before(k.restored.Add(everywhere)) {
		return false, false
	}
	if !k.revoked.IsZero() {
		return false, !k.gone.IsZero() && now.After(k.gone.Add(everywhere))
	}
	known := !k.published.IsZero() && now.After(k.published.Add(everywhere))
	return known || !of.replaces(k, everywhere+j.declared.Skew), false
}

// replaces says whether a key may sign at once, in the place of one that was revoked: it was pending then, or came when that one went,
// or is yet to come with the set that the other leaves by.
func (i *issuer) replaces(k *key, lead time.Duration) bool {
	for _, other := range i.keys {
		waited := !k.published.IsZero() && !k.published.After(other.revoked.Add(-lead))
		if !other.revoked.IsZero() && !waited && (other.gone.IsZero() || !k.published.IsZero() && !k.published.After(other.gone)) {
			return true
		}
	}
	return false
}
