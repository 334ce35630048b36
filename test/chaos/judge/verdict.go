package judge

import (
	"context"
	"time"
)

// Revoke says that somebody is about to revoke a key. Its tokens need not verify any more, and must not once the set without it has
// reached everybody.
func (j *Judge) Revoke(issuer, keyID string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.issuer(issuer).key(keyID).revoked = j.clock.Now()
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
	if !k.revoked.IsZero() {
		return false, !k.gone.IsZero() && now.After(k.gone.Add(everywhere))
	}
	return now.After(k.published.Add(everywhere)) || !of.replaces(k, everywhere+j.declared.Skew), false
}

// replaces says whether a key may sign at once, in the place of one that was revoked: it was pending then, or came when that one went.
func (i *issuer) replaces(k *key, lead time.Duration) bool {
	for _, other := range i.keys {
		waited := !k.published.After(other.revoked.Add(-lead))
		if !other.revoked.IsZero() && !waited && (other.gone.IsZero() || !k.published.After(other.gone)) {
			return true
		}
	}
	return false
}
