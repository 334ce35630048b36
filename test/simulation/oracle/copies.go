package oracle

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// sawConfigMap observes a copy of a JWKS: what the operator has written as one, until it is gone.
func (o *Oracle) sawConfigMap(e apiserver.Event, foreign bool) {
	if cm, ok := e.New.(*corev1.ConfigMap); ok && !foreign {
		o.copies[e.Name] = types.NamespacedName{
			Namespace: cm.Labels[v1alpha1.LabelSigningKeyNamespace], Name: cm.Labels[v1alpha1.LabelSigningKey],
		}
	}
	i := o.issuers[o.copies[e.Name]]
	if e.New == nil {
		delete(o.copies, e.Name)
	}
	if i == nil {
		return
	}
	var ids []string
	cm, _ := e.New.(*corev1.ConfigMap)
	if cm != nil {
		ids = readKeySet([]byte(cm.Data[v1alpha1.ConfigMapKeyJWKS])).ids
	}
	// A copy under a former name is another place, which nobody is told to read any more.
	there := cm != nil && i.object != nil && copyNameOf(i.object) == e.Name.Name
	o.change(i, o.source(i, e.Name.Namespace), ids, there, foreign)
	if there && !foreign {
		o.judgeSet(i, "the copy in "+e.Name.Namespace, ids, 0)
	}
}

func (o *Oracle) source(i *issuer, name string) *source {
	s := i.sources[name]
	if s == nil {
		s = &source{name: name}
		i.sources[name] = s
	}
	return s
}

// change replaces what a source holds, and finds live tokens whose key has left.
func (o *Oracle) change(i *issuer, s *source, ids []string, there, foreign bool) {
	if last := s.current(); last != nil {
		if there && slices.Equal(last.ids, ids) {
			return
		}
		last.until = o.now
		if last.since.Equal(o.now) {
			s.sets = s.sets[:len(s.sets)-1] // Nobody has had the time to fetch it.
		}
	}
	o.prune(i, s)
	if !there {
		return
	}
	now := &set{ids: ids, since: o.now, foreign: foreign}
	if o.now.Before(i.unsettled) && len(s.sets) > 0 {
		now.rewound = s.sets[len(s.sets)-1].rewound // Of what was before the restore, some is still seen.
	}
	s.sets = append(s.sets, now)
	for _, id := range ids {
		if k := i.keys[id]; k != nil {
			if _, ever := k.published[s.name]; !ever {
				k.published[s.name] = o.now
			}
		}
	}
	o.judgeAbsent(i, s, now)
}

// judgeAbsent finds live tokens whose key is not in a set that begins to be published.
func (o *Oracle) judgeAbsent(i *issuer, s *source, now *set) {
	for _, id := range i.order {
		k := i.keys[id]
		o.Checks++
		if k.everSigned() && !slices.Contains(now.ids, id) && k.expiry.Add(-o.facts.Slow).After(o.now) && o.chosen(i, s) && o.excused(i, s, now, k) == "" {
			o.violated(NoGap, "%s of %s is not in %s from %s on, and a token of it lives until %s, by the slowest clock until %s",
				o.named(id), i.name, s.name, at(o.now), at(k.expiry), at(k.expiry.Add(-o.facts.Slow)))
		}
	}
}

// judgeSet judges a set that the operator publishes, from what it can have known that long ago.
func (o *Oracle) judgeSet(i *issuer, where string, ids []string, old time.Duration) {
	if len(ids) < 1 || len(ids) > 10 {
		o.violated(Crowd, "%s of %s holds %d keys", where, i.name, len(ids))
	}
	for _, id := range ids {
		k := i.keys[id]
		switch {
		case k == nil:
			o.violated(OneTruth, "%s of %s holds key %s, which no stored ring has ever held", where, i.name, id)
		case k.gone && !k.lost && !i.disturbed && !o.now.Before(k.left.Add(old)):
			o.violated(Revoked, "%s of %s holds %s again, which was revoked at %s", where, i.name, o.named(id), at(k.revoked))
		}
	}
}

// chosen says whether a source is one that the SigningKey asks for.
func (o *Oracle) chosen(i *issuer, s *source) bool {
	if i.object == nil {
		return false
	}
	if strings.HasPrefix(s.name, "https ") || s.name == i.name.Namespace {
		return true
	}
	namespace := o.namespaces[s.name]
	if namespace == nil || !namespace.DeletionTimestamp.IsZero() || i.object.Spec.JWKS.Namespaces == nil {
		return false
	}
	return Selects(i.object.Spec.JWKS.Namespaces, namespace.Labels)
}

// judgeReach finds a key that signs although a copy that was asked for all the time has never held it.
func (o *Oracle) judgeReach(i *issuer, k *key) {
	for _, ns := range slices.Sorted(maps.Keys(i.chosen)) {
		if _, ever := k.published[ns]; !ever && i.chosen[ns].Add(o.facts.Lag).Before(k.first) {
			o.violated(NoEarly, "%s of %s signs, and the copy in %s, which was asked for since %s, has never held it", o.named(k.id), i.name, ns, at(i.chosen[ns]))
		}
	}
}

// choose notes since when each namespace shall hold a copy.
func (o *Oracle) choose(i *issuer) {
	for name := range o.namespaces {
		if !o.chosen(i, &source{name: name}) {
			delete(i.chosen, name)
		} else if i.chosen[name].IsZero() {
			i.chosen[name] = o.now
		}
	}
}

// heldSince is since when a source has held a key without a break. A copy that was taken away altogether makes no break, nor
// does one that begins.
func (s *source) heldSince(id string) time.Time {
	since := s.sets[len(s.sets)-1].since
	for n := len(s.sets) - 1; n >= 0 && slices.Contains(s.sets[n].ids, id); n-- {
		since = s.sets[n].since
	}
	if slices.Contains(s.sets[0].ids, id) && s.sets[0].since.Equal(since) {
		return time.Time{}
	}
	return since
}
