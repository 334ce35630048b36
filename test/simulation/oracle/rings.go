package oracle

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// sawSecret observes rings and tokens.
func (o *Oracle) sawSecret(e apiserver.Event, foreign bool) {
	secret, _ := e.New.(*corev1.Secret)
	for _, i := range o.sorted() {
		if i.name.Namespace == e.Name.Namespace && i.secret == e.Name.Name {
			o.sawRing(i, secret, foreign)
			return
		}
	}
	before, _ := e.Old.(*corev1.Secret)
	if secret != nil && secret.Type == v1alpha1.SecretTypeToken && !foreign {
		o.sawToken(e, before, secret)
	}
}

func (o *Oracle) sawRing(i *issuer, secret *corev1.Secret, foreign bool) {
	var held keySet
	active := ""
	if secret != nil {
		held = readKeySet(secret.Data["ring.json"])
		active = string(secret.Data["key-id"])
	}
	o.remember(held.secrets)
	o.meetKeys(i, held, foreign)
	if i.object == nil {
		i.disturbed = true
		return
	}
	if foreign {
		i.disturbed = true
	}
	if secret == nil {
		i.ring = nil
		return // Who has mounted its key goes on with that, until there is another ring.
	}
	was := i.active
	if k := i.keys[was]; was != active && k != nil {
		k.ended, k.longest, k.undone = o.now, i.shortestLife(), false
	}
	i.ring = held.ids
	if !foreign {
		o.judgeRing(i, held, was, active)
	}
	i.active = active
	if k := i.keys[active]; k != nil {
		k.begin(o.now)
	}
	if !foreign {
		if i.disturbed {
			o.forgive(i)
		}
		i.written++
		i.disturbed = o.now.Before(i.unsettled)
	}
}

// meetKeys names the keys of a ring, and remembers those that are new.
func (o *Oracle) meetKeys(i *issuer, held keySet, foreign bool) {
	for _, id := range held.ids {
		o.named(id)
		if i.keys[id] == nil && !foreign && !slices.Contains(held.private, id) {
			o.violated(OneTruth, "the ring of %s begins to hold %s, of which it never had the private half: somebody else has made it", i.name, o.named(id))
		}
		k := i.key(id, o.now)
		k.lost = k.lost || i.object == nil // Whoever wrote it has not heard yet that there is no SigningKey any more.
	}
}

// begin notes that the key signs.
func (k *key) begin(now time.Time) {
	k.ended = time.Time{}
	if k.began.IsZero() {
		k.began = now
	}
}

// judgeRing judges a ring that the operator stores.
func (o *Oracle) judgeRing(i *issuer, held keySet, was, active string) {
	k := i.keys[active]
	if k == nil {
		o.violated(OneTruth, "the ring of %s names a key that signs and is not in it", i.name)
		return
	}
	for _, id := range held.private {
		if other := i.keys[id]; id != active && other.everSigned() && !other.lost && !i.disturbed {
			o.violated(Destroyed, "the ring of %s holds the private half of %s, which signed from %s and signs no more", i.name, o.named(id), at(other.began))
		}
	}
	for _, id := range held.ids {
		if r := i.keys[id]; r.gone && !r.lost && !i.disturbed {
			o.violated(Revoked, "the ring of %s holds %s again, which was revoked at %s", i.name, o.named(id), at(r.revoked))
		}
	}
	i.leave(held.ids, o.now)
	if active != was {
		o.judgeHandOver(i, k, was)
	}
}

// leave notes which revoked keys a ring holds no more.
func (i *issuer) leave(held []string, now time.Time) {
	for _, k := range i.keys {
		if k.revoked.IsZero() || k.pardoned || slices.Contains(held, k.id) {
			continue
		}
		if !k.gone {
			k.left = now
		}
		k.gone = true
	}
}

func (o *Oracle) judgeHandOver(i *issuer, k *key, was string) {
	if why := i.mayHurry(was); why != "" {
		k.hasty = k.hasty || !k.everSigned()
		return
	}
	if k.everSigned() && !k.lost {
		o.violated(Destroyed, "%s of %s signs again: its private half had to be destroyed at %s", o.named(k.id), i.name, at(k.ended))
		return
	}
	o.judgeReach(i, k)
	wait := i.shortestWait()
	for _, name := range slices.Sorted(maps.Keys(i.sources)) {
		s := i.sources[name]
		if !o.chosen(i, s) || strings.HasPrefix(name, "https ") {
			continue
		}
		now := s.current()
		switch {
		case now == nil || now.foreign:
			continue // Somebody has taken the copy away, or changed it.
		case !slices.Contains(now.ids, k.id):
			o.violated(NoEarly, "%s of %s signs, and the copy in %s does not hold it", o.named(k.id), i.name, name)
			continue
		}
		since := s.heldSince(k.id)
		if o.now.Before(since.Add(wait)) {
			o.violated(NoEarly, "%s of %s signs at %s, and the copy in %s holds it since %s: that is %s, and it had to be %s",
				o.named(k.id), i.name, at(o.now), name, at(since), o.now.Sub(since), wait)
		}
	}
}
