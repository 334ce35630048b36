package oracle

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// issuer is what was observed of one SigningKey.
type issuer struct {
	name types.NamespacedName
	// object is the SigningKey as it is stored; nil while there is none.
	object *v1alpha1.SigningKey
	// secret is the name of its ring Secret.
	secret string
	keys   map[string]*key
	// order is in which order keys were first seen.
	order []string
	// active is the key that the stored ring Secret names as the one that signs, ring are all of its keys.
	active string
	ring   []string
	// written counts the rings that the operator has stored.
	written int
	// disturbed says that somebody else than the operator has changed the ring Secret, or the whole store, since the operator
	// wrote it last.
	disturbed bool
	// unsettled is until when somebody may not have heard that a backup was restored.
	unsettled time.Time
	// sources are the places at which the set is published: copies by namespace, and answers by replica.
	sources map[string]*source
	// chosen are the namespaces that shall hold a copy, and since when.
	chosen map[string]time.Time
	// habits are for how long verifiers keep a set that they fetch, each from an instant on, oldest first.
	habits []habit
	// specs are the specs since the one that the operator has said to be in force.
	specs []v1alpha1.SigningKeySpec
}

type habit struct {
	from time.Time
	keep time.Duration
}

// key is what was observed of one key.
type key struct {
	id string
	// first is when it was first in a stored ring.
	first time.Time
	// began is when it became the one that signs, for the first time; ended is when it was last the one, zero while it is.
	began, ended time.Time
	// longest is the longest life of a token that was surely lawful when it ended.
	longest time.Duration
	// known is since when the status names it without a break.
	known time.Time
	// expiry is the latest "exp" of a token that was issued with it.
	expiry time.Time
	// published is since when each source has held it first.
	published map[string]time.Time

	// hasty says that it signed without waiting for verifiers, for a good reason.
	hasty bool
	// revoked is when a spec first named it as compromised; gone says that the operator has stored a ring without it
	// since, for the first time when it left.
	revoked time.Time
	gone    bool
	left    time.Time
	// pardoned says that the revocation was taken back before that.
	pardoned bool
	// undone says that a restore has undone that it ended when it did.
	undone bool
	// lost says that nobody could have kept it.
	lost bool
}

func (k *key) everSigned() bool { return k != nil && !k.began.IsZero() }

// source is one place at which sets are published.
type source struct {
	name string
	sets []*set
}

// set is what a source held for a while.
type set struct {
	ids          []string
	since, until time.Time
	// foreign says that somebody else than the operator wrote it.
	foreign bool
	// rewound are the keys that its source held when a backup was restored, if it was there before.
	rewound []string
	// aged is until when a verifier may keep it that heeds what the answer said; zero for copies.
	aged time.Time
}

func (s *source) current() *set {
	if len(s.sets) == 0 || !s.sets[len(s.sets)-1].until.IsZero() {
		return nil
	}
	return s.sets[len(s.sets)-1]
}

// heldUntil is until when some verifier may judge by a set: one that fetched it when it could last be had, and keeps it as long
// as was the habit then. The zero time means that it can be had now.
func (o *Oracle) heldUntil(i *issuer, s *set) time.Time {
	if s.until.IsZero() {
		return time.Time{}
	}
	if !s.aged.IsZero() {
		return s.aged
	}
	last := s.until.Add(o.facts.Propagation)
	var until time.Time
	for n, h := range i.habits {
		if h.from.After(last) {
			break
		}
		fetched := last
		if n+1 < len(i.habits) && i.habits[n+1].from.Before(last) {
			fetched = i.habits[n+1].from
		}
		if kept := fetched.Add(h.keep); kept.After(until) {
			until = kept
		}
	}
	return until
}

// prune forgets sets that nobody can hold any more.
func (o *Oracle) prune(i *issuer, s *source) {
	s.sets = slices.DeleteFunc(s.sets, func(x *set) bool {
		until := o.heldUntil(i, x)
		return !until.IsZero() && until.Add(time.Hour).Before(o.now)
	})
}

// declared is one of the durations of a spec.
func declared(d *metav1.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.Duration
}

func cacheOf(s v1alpha1.SigningKeySpec) time.Duration {
	return declared(s.Rotation.VerifierCacheDuration, time.Hour)
}

func propagationOf(s v1alpha1.SigningKeySpec) time.Duration {
	return declared(s.Rotation.PropagationDelay, 2*time.Minute)
}

func longestOf(s v1alpha1.SigningKeySpec) time.Duration {
	return declared(s.Tokens.MaxDuration, 24*time.Hour)
}

// shortestWait is for how long a key must have been published before it signs, by the spec that asks for least of those that
// can be in force.
func (i *issuer) shortestWait() time.Duration {
	wait := cacheOf(i.specs[0]) + propagationOf(i.specs[0])
	for _, s := range i.specs {
		wait = min(wait, cacheOf(s)+propagationOf(s))
	}
	return wait
}

// shortestLife is the longest life of a token, by the spec that asks for least of those that can be in force.
func (i *issuer) shortestLife() time.Duration {
	life := longestOf(i.specs[0])
	for _, s := range i.specs {
		life = min(life, longestOf(s))
	}
	return life
}

func ringSecretOf(k *v1alpha1.SigningKey) string {
	return cmp.Or(k.Spec.SecretName, k.Name+"-signing-key")
}

func copyNameOf(k *v1alpha1.SigningKey) string { return cmp.Or(k.Spec.JWKS.Name, k.Name+"-jwks") }

func (i *issuer) key(id string, now time.Time) *key {
	k := i.keys[id]
	if k == nil {
		k = &key{id: id, first: now, published: map[string]time.Time{}}
		i.keys[id] = k
		i.order = append(i.order, id)
	}
	return k
}

// revoke notes which keys the spec says are revoked.
func (i *issuer) revoke(ids []v1alpha1.KeyID, now time.Time) {
	for _, id := range ids {
		if k := i.keys[string(id)]; k != nil && (k.revoked.IsZero() || k.pardoned) {
			k.revoked = now
		}
	}
	for id, k := range i.keys {
		// Taken back before the operator has acted: it may yet, or not.
		k.pardoned = !k.revoked.IsZero() && !k.gone && !slices.Contains(ids, v1alpha1.KeyID(id))
	}
}
