package oracle

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// KeyIDs are the IDs of the keys of a JWK Set; none if it cannot be read.
func KeyIDs(jwks []byte) []string { return readKeySet(jwks).ids }

// Refused observes a verifier that refuses a token which has not expired by its clock, with a set that it got from a source.
func (o *Oracle) Refused(now time.Time, name types.NamespacedName, source string, held []string, who string, t Token, because error) {
	o.now = now
	i := o.issuers[name]
	if i == nil || i.keys[t.KeyID] == nil {
		return // Somebody has put a token there that Keyturn never issued.
	}
	k, from := i.keys[t.KeyID], i.sources[source]
	if from == nil || !o.chosen(i, from) || t.Expiry.After(k.expiry) && k.expiry.Before(now.Add(-o.facts.Slow)) {
		return // The memory that tokens may live so long was lost with a ring.
	}
	for _, s := range from.sets {
		if within(s.ids, held) && o.excused(i, from, s, k) != "" {
			return
		}
	}
	o.violated(NoGap, "%s refuses a token of %s that was issued at %s and lives until %s: %v", who, o.named(k.id), at(t.IssuedAt), at(t.Expiry), because)
}

// within says whether a verifier may have a set at hand, among others that it remembers.
func within(ids, held []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(held, id) })
}

// Accepted observes a verifier that accepts a token.
func (o *Oracle) Accepted(now time.Time, name types.NamespacedName, who string, t Token, asked bool) {
	o.now = now
	i := o.issuers[name]
	if i == nil || i.object == nil || i.keys[t.KeyID] == nil {
		return
	}
	k := i.keys[t.KeyID]
	if !k.gone || k.lost || i.disturbed {
		return
	}
	// Who asks the deny list hears at once; who does not, when the set at hand has run out.
	if asked {
		o.violated(Revoked, "%s, which never forgets a key and asks the deny list, accepts a token of %s, revoked at %s", who, o.named(k.id), at(k.revoked))
		return
	}
	for _, from := range i.sources {
		for _, s := range from.sets {
			if until := o.heldUntil(i, s); slices.Contains(s.ids, k.id) && (until.IsZero() || o.now.Before(until)) {
				return
			}
		}
	}
	o.violated(Revoked, "%s accepts a token of %s, which was revoked at %s and is in no set that anybody may still hold", who, o.named(k.id), at(k.revoked))
}
