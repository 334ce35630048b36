package oracle

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// judgeNeed finds a token that was replaced although it was good: its key is published and not revoked, it says what the new
// one says, and it is younger than the earliest share of its life after which anybody renews.
func (o *Oracle) judgeNeed(i *issuer, e apiserver.Event, was string, t Token) {
	o.Checks++
	old, err := ReadToken(was)
	if was == "" || err != nil || e.Old.(*corev1.Secret).Type != e.New.(*corev1.Secret).Type {
		return
	}
	k := i.keys[old.KeyID]
	if k == nil || !k.revoked.IsZero() || k.lost || i.disturbed || old.Rest != t.Rest || !slices.Contains(i.ring, k.id) || k.forged(was, o) {
		return
	}
	// Half of its life is before any renewal, by its default of two thirds and a jitter of a tenth; the world asks for no
	// renewal earlier than that.
	half := old.IssuedAt.Add(old.Expiry.Sub(old.IssuedAt) / 2)
	if o.now.Add(o.facts.Fast).Before(half) && !old.IssuedAt.After(o.now.Add(o.facts.Slow)) {
		o.violated(NoNeedless, "the token in %s was good: its key %s is published, it was issued at %s and lives until %s, and it is %s",
			e.Name, o.named(k.id), at(old.IssuedAt), at(old.Expiry), at(o.now))
	}
}

// judgeOrder finds a token that was written over a newer one: whoever decided on it had not seen that.
func (o *Oracle) judgeOrder(e apiserver.Event, was string, t Token) {
	old, err := ReadToken(was)
	if err == nil && o.issued[signature(was)] && old.IssuedAt.After(t.IssuedAt.Add(o.facts.Fast-o.facts.Slow+2*time.Second)) {
		o.violated(OneTruth, "the token in %s was issued at %s, and replaces one that was issued at %s", e.Name, at(t.IssuedAt), at(old.IssuedAt))
	}
}

// forged says whether a token is not one that was issued: somebody has put it there.
func (k *key) forged(compact string, o *Oracle) bool {
	return !o.issued[signature(compact)]
}
