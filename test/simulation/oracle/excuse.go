package oracle

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// excused says why nobody is to blame that a verifier who holds a set lacks a key of which a live token exists; empty if
// somebody is.
func (o *Oracle) excused(i *issuer, from *source, s *set, k *key) string {
	switch {
	case i.object == nil:
		return "the SigningKey was deleted, and whoever did it was told that tokens are alive, or forced it"
	case k.lost:
		return "nobody could have kept the key: it was in no backup, no copy and no status when its ring was lost"
	case !k.revoked.IsZero():
		return "the key was revoked: it shall verify nowhere"
	case s.foreign && (s.until.IsZero() || !k.began.After(s.until)):
		return "somebody else wrote the set, and the key signed already when the operator could mend it"
	case strings.HasPrefix(from.name, "https ") && i.shortestWait() < o.facts.View:
		return "a replica may be asked whose view is older than the whole wait, of which admission warns"
	case s.rewound != nil && !slices.Contains(s.rewound, k.id):
		return "a backup was restored, and the key had left the set when it was"
	case k.hasty && (o.before(from, s, k) || s.since.Before(k.began)):
		return "the key signs in the place of one that was revoked or lost, and does not wait for verifiers"
	default:
		return ""
	}
}

// before says whether a set was there before its place held the key for the first time.
func (o *Oracle) before(from *source, s *set, k *key) bool {
	since, ever := k.published[from.name]
	return !ever || s.since.Before(since)
}

// mayHurry says why a key may sign without waiting; empty if it may not.
func (i *issuer) mayHurry(before string) string {
	switch {
	case i.written == 0:
		return "it is the first"
	case i.disturbed:
		return "the ring was lost, restored or forged"
	case i.keys[before] != nil && !i.keys[before].revoked.IsZero():
		return "the key before it was revoked"
	default:
		return ""
	}
}

// forgive notes, when the operator has made up for a ring that somebody lost or changed, what it could not know any more:
// keys that neither the status nor the copy beside the SigningKey told of, for longer lives and caches than today's.
func (o *Oracle) forgive(i *issuer) {
	own := i.sources[i.name.Namespace]
	for _, k := range i.keys {
		vouched := !k.known.IsZero() && k.known.Add(o.facts.Lag).Before(o.now)
		found := own != nil && own.current() != nil && slices.Contains(own.current().ids, k.id)
		k.lost = k.lost || !slices.Contains(i.ring, k.id) && (!vouched || !found || len(i.ring) >= 9)
		if longest := o.now.Add(o.facts.Fast + longestOf(i.object.Spec)); k.expiry.After(longest) {
			k.expiry = longest
		}
	}
	i.forgetHabits(o.now, i.habits[len(i.habits)-1].keep)
}

// forgetHabits notes that nobody knows any more that sets could be kept for longer.
func (i *issuer) forgetHabits(now time.Time, keep time.Duration) {
	for n := range i.habits {
		i.habits[n].keep = min(i.habits[n].keep, keep)
	}
	for _, from := range i.sources {
		for _, s := range from.sets {
			last := s.until.Add(keep)
			if s.until.IsZero() {
				last = now.Add(keep)
			}
			if s.aged.After(last) {
				s.aged = last
			}
		}
	}
}

// Rewind notes that a backup is about to be restored. Keys that are younger than it are gone, and nobody can know of tokens that
// were allowed to live longer since.
func (o *Oracle) Rewind(now, taken time.Time, backup func(apiserver.Name) client.Object) {
	o.now = now
	for _, i := range o.sorted() {
		// API servers restart after a restore, and whoever watches lists anew within a minute.
		i.disturbed, i.unsettled = true, now.Add(2*time.Minute)
		i.keepSets()
		object, _ := backup(apiserver.Name{Kind: apiserver.SigningKeys, Namespace: i.name.Namespace, Name: i.name.Name}).(*v1alpha1.SigningKey)
		if object == nil {
			continue // It goes, and then nothing is owed for it.
		}
		i.forgetHabits(now, min(i.habits[len(i.habits)-1].keep, cacheOf(object.Spec)))
		var held keySet
		if ring, ok := backup(apiserver.Name{Kind: apiserver.Secrets, Namespace: i.name.Namespace, Name: ringSecretOf(object)}).(*corev1.Secret); ok {
			held = readKeySet(ring.Data["ring.json"])
		}
		for _, k := range i.keys {
			// A key that had retired when the backup was made, and has signed since, will be gone before those tokens are.
			again := !slices.Contains(held.private, k.id) && (k.ended.IsZero() || k.ended.After(taken))
			k.lost = k.lost || !slices.Contains(held.ids, k.id) || k.everSigned() && again
			k.undone = true
			if longest := now.Add(o.facts.Fast + longestOf(object.Spec)); k.expiry.After(longest) {
				k.expiry = longest
			}
		}
	}
}

// keepSets notes which keys somebody could have fetched when the backup was restored.
func (i *issuer) keepSets() {
	for _, from := range i.sources {
		ids := []string{}
		if now := from.current(); now != nil {
			ids = append(ids, now.ids...)
		}
		for _, s := range from.sets {
			s.rewound = ids
		}
	}
}

// Etcd is who changes objects when a backup is restored.
const Etcd = "etcd"

// begin notes that a SigningKey was deleted and created anew: nothing is owed for the keys of the former one.
func (o *Oracle) begin(i *issuer, object *v1alpha1.SigningKey) {
	i.disturbed = true
	i.specs = nil
	i.forgetHabits(o.now, cacheOf(object.Spec))
	for _, k := range i.keys {
		k.lost, k.revoked, k.gone = true, time.Time{}, false
	}
}

// rewind notes that a backup was restored which is older than some revocations: nobody knows of them any more, and the keys
// sign and verify again until they are revoked again.
func (i *issuer) rewind() {
	i.disturbed = true
	for _, k := range i.keys {
		if !slices.Contains(i.object.Spec.RevokedKeyIDs, v1alpha1.KeyID(k.id)) {
			k.revoked, k.gone = time.Time{}, false
		}
	}
}
