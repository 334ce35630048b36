package oracle

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

func (o *Oracle) sawToken(e apiserver.Event, before, secret *corev1.Secret) {
	compact := string(secret.Data[v1alpha1.SecretKeyToken])
	was := ""
	if before != nil {
		was = string(before.Data[v1alpha1.SecretKeyToken])
	}
	if compact == "" || compact == was {
		return
	}
	for _, i := range o.sorted() {
		t, err := ReadToken(compact)
		if err != nil || i.keys[t.KeyID] == nil {
			continue
		}
		o.judgeNeed(i, e, was, t)
		o.judgeOrder(e, was, t)
		o.Issued(o.now, i.name, compact, "the Secret "+e.Name.Namespace+"/"+e.Name.Name, o.facts.Staleness)
		return
	}
	o.violated(OneTruth, "the token in %s is signed with a key that no stored ring has ever held", e.Name)
}

// Issued observes a token that somebody may present from now on. A signer may rely on what was true stale ago.
func (o *Oracle) Issued(now time.Time, name types.NamespacedName, compact, by string, stale time.Duration) {
	o.now = now
	o.Tokens++
	i := o.issuers[name]
	t, err := ReadToken(compact)
	if i == nil || err != nil {
		o.violated(OneTruth, "%s holds a token that cannot be read: %v", by, err)
		return
	}
	o.issued[signature(compact)] = true
	k := i.keys[t.KeyID]
	if k == nil {
		o.violated(OneTruth, "%s holds a token of a key that no stored ring has ever held", by)
		return
	}
	o.judgeTimes(i, k, t, by, stale)
	o.meet(i, k, t, by)
	if t.Expiry.After(k.expiry) {
		k.expiry = t.Expiry
	}
}

func (o *Oracle) judgeTimes(i *issuer, k *key, t Token, by string, stale time.Duration) {
	o.Checks++
	if !t.Expiry.After(t.IssuedAt) {
		o.violated(NoOutliving, "%s holds a token that was issued at %s and expired at %s", by, at(t.IssuedAt), at(t.Expiry))
	}
	// By its own clock, which is in whole seconds and can be that much ahead.
	signed := t.IssuedAt.Add(-o.facts.Fast)
	if !k.ended.IsZero() && signed.After(k.ended.Add(stale)) && !i.disturbed {
		o.violated(StaleSigners, "%s holds a token of %s that was signed at %s or later, and the key stopped to sign at %s: the signer had not heard of it for longer than %s",
			by, o.named(k.id), at(signed), at(k.ended), stale)
	}
	if t.NotBefore.After(o.now.Add(o.facts.Slow)) && t.IssuedAt.Before(o.now.Add(o.facts.Fast+time.Second)) {
		o.violated(NoGap, "%s holds a token that is valid from %s, and by the slowest clock it is %s", by, at(t.NotBefore), at(o.now.Add(o.facts.Slow)))
	}
}

// meet lets every verifier judge a token that begins: all that hold a set now. What they fetch later is judged when it is
// published.
func (o *Oracle) meet(i *issuer, k *key, t Token, by string) {
	if !t.Expiry.Add(-o.facts.Slow).After(o.now) {
		return // It expired while its signer was frozen.
	}
	for _, name := range slices.Sorted(maps.Keys(i.sources)) {
		from := i.sources[name]
		if !o.chosen(i, from) {
			continue
		}
		for _, s := range from.sets {
			o.Checks++
			until := o.heldUntil(i, s)
			if slices.Contains(s.ids, k.id) || !until.IsZero() && !o.now.Before(until) || o.excused(i, from, s, k) != "" {
				continue
			}
			kept := "is published now"
			if !until.IsZero() {
				kept = fmt.Sprintf("was published until %s, and may be kept until %s", at(s.until), at(until))
			}
			o.violated(NoGap, "%s begins to be presented at %s; it was signed with %s, which is not in the set of %s that %s",
				by, at(o.now), o.named(k.id), name, kept)
		}
	}
}
