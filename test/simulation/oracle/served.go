package oracle

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Served observes what a replica answers to whoever asks for a JWKS, and for how long that may be kept. It is called whenever
// the answer has changed, and before that for the last time with the former one. Nothing is served while there is no answer.
func (o *Oracle) Served(now time.Time, replica string, name types.NamespacedName, jwks []byte, keep time.Duration) {
	o.now = now
	i := o.issuers[name]
	if i == nil {
		return
	}
	s := o.source(i, "https "+replica)
	if last := s.current(); last != nil && jwks != nil && slices.Equal(last.ids, readKeySet(jwks).ids) {
		if until := now.Add(keep); until.After(last.aged) {
			last.aged = until
		}
		o.judgeServed(i, replica, last.ids)
		return
	}
	set := readKeySet(jwks)
	if last := s.current(); last != nil && last.aged.IsZero() {
		last.aged = now
	}
	o.change(i, s, set.ids, jwks != nil, false)
	if current := s.current(); current != nil && jwks != nil {
		current.aged = now.Add(keep)
		o.judgeSet(i, "the answer of "+replica, set.ids, o.facts.View)
		o.judgeServed(i, replica, set.ids)
	}
}

// judgeServed finds a revoked key that is served although the replica must have heard of the revocation, whether or not anybody
// has acted on it.
func (o *Oracle) judgeServed(i *issuer, replica string, ids []string) {
	for _, id := range ids {
		if k := i.keys[id]; k != nil && !k.revoked.IsZero() && !k.pardoned && !k.lost && !i.disturbed && o.now.After(k.revoked.Add(o.facts.View)) {
			o.violated(Revoked, "%s serves %s of %s, which was revoked at %s", replica, o.named(id), i.name, at(k.revoked))
		}
	}
}
