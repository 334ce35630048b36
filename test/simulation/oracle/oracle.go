package oracle

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// Violation is an invariant that does not hold.
type Violation struct {
	Invariant string
	At        time.Time
	// Because is what was observed, with its arithmetic.
	Because string
}

// The invariants, as the design numbers them.
const (
	NoGap        = "1 no gap"
	NoEarly      = "2 no early signature"
	NoOutliving  = "3 no outliving"
	Destroyed    = "4 destroyed in time"
	Crowd        = "5 never empty, never crowded"
	OneTruth     = "6 one truth"
	Converges    = "7 crash anywhere"
	NoNeedless   = "8 no needless issue"
	StaleSigners = "9 stale signers"
	NothingLeaks = "10 nothing leaks"
	Revoked      = "a revoked key verifies nowhere"
)

// Oracle judges one world.
type Oracle struct {
	facts      Facts
	now        time.Time
	issuers    map[types.NamespacedName]*issuer
	namespaces map[string]*corev1.Namespace
	// copies are the ConfigMaps that the operator has written, and whose keys they hold.
	copies    map[apiserver.Name]types.NamespacedName
	operators map[string]bool
	// private are the latest private halves, which must be found nowhere.
	private []string
	// compact is the form of a token.
	compact *regexp.Regexp
	// issued are the signatures of the tokens that were issued.
	issued map[string]bool
	names  map[string]string

	// Violations are in the order in which they were found.
	Violations []Violation
	// Tokens counts those that were issued, Checks the questions that were asked.
	Tokens, Checks int
}

// New makes an Oracle for a world of these facts. Operators are the users whose writes are the operator's.
func New(facts Facts, operator string) *Oracle {
	return &Oracle{
		facts: facts, issuers: map[types.NamespacedName]*issuer{}, namespaces: map[string]*corev1.Namespace{}, copies: map[apiserver.Name]types.NamespacedName{},
		operators: map[string]bool{operator: true}, issued: map[string]bool{}, compact: regexp.MustCompile(`eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}`), names: map[string]string{},
	}
}

// Name is a short name of a key for people: by the order in which keys were seen.
func (o *Oracle) Name(id string) string {
	if n, ok := o.names[id]; ok {
		return n
	}
	return "an unknown key"
}

func (o *Oracle) named(id string) string {
	if _, ok := o.names[id]; !ok {
		o.names[id] = fmt.Sprintf("key-%d", len(o.names)+1)
	}
	return o.names[id]
}

func (o *Oracle) violated(invariant, format string, args ...any) {
	o.Violations = append(o.Violations, Violation{invariant, o.now, fmt.Sprintf(format, args...)})
}

// Committed observes a change that was committed.
func (o *Oracle) Committed(now time.Time, e apiserver.Event) {
	o.now = now
	foreign := !o.operators[e.By]
	switch e.Name.Kind {
	case apiserver.SigningKeys:
		o.sawSigningKey(e, foreign)
	case apiserver.Namespaces:
		o.sawNamespace(e)
	case apiserver.ConfigMaps:
		o.sawConfigMap(e, foreign)
	case apiserver.Secrets:
		o.sawSecret(e, foreign)
	case apiserver.ServiceTokens, apiserver.TokenClients, apiserver.TokenPolicies, apiserver.TokenRevocations:
	}
	if !foreign && e.New != nil && e.Name.Kind != apiserver.Secrets {
		o.searchObject(e)
	}
}

func (o *Oracle) sawSigningKey(e apiserver.Event, foreign bool) {
	name := types.NamespacedName{Namespace: e.Name.Namespace, Name: e.Name.Name}
	i := o.issuers[name]
	object, _ := e.New.(*v1alpha1.SigningKey)
	before, _ := e.Old.(*v1alpha1.SigningKey)
	switch {
	case i == nil:
		i = &issuer{name: name, keys: map[string]*key{}, sources: map[string]*source{}, chosen: map[string]time.Time{}, habits: []habit{{time.Time{}, cacheOf(object.Spec)}}}
		o.issuers[name] = i
	case object != nil && (before == nil || before.UID != object.UID):
		o.begin(i, object)
	}
	i.object = object
	o.choose(i)
	if object == nil {
		return
	}
	i.secret = ringSecretOf(object)
	if e.By == Etcd {
		i.rewind()
	}
	if before == nil || before.Generation != object.Generation {
		i.specs = append(i.specs, object.Spec)
	}
	if foreign && before != nil && before.Status.RingGeneration != object.Status.RingGeneration {
		i.disturbed = true // Somebody has restored the status.
	}
	i.revoke(object.Spec.RevokedKeyIDs, o.now)
	o.sawStatus(i, object, foreign)
}

func (o *Oracle) sawStatus(i *issuer, object *v1alpha1.SigningKey, foreign bool) {
	if ready(object) {
		i.specs = []v1alpha1.SigningKeySpec{object.Spec}
	}
	states := map[string]v1alpha1.KeyState{}
	for _, k := range object.Status.Keys {
		states[k.ID] = k.State
		if !foreign && k.RemoveAfter != nil {
			o.judgeStay(i, k)
		}
	}
	for id, k := range i.keys {
		if !foreign && !k.revoked.IsZero() && ready(object) && slices.Contains(i.ring, id) && slices.Contains(object.Spec.RevokedKeyIDs, v1alpha1.KeyID(id)) && !i.disturbed {
			o.violated(Revoked, "the spec of %s that revokes %s is in force, and the key is in the ring", i.name, o.named(id))
		}
		switch {
		case states[id] == "" || states[id] == v1alpha1.KeyRevoked:
			k.known = time.Time{}
		case k.known.IsZero():
			k.known = o.now
		}
		alive := k.expiry.Add(-o.facts.Slow).After(o.now)
		if !foreign && k.gone && alive && !k.lost && !i.disturbed && ready(object) && states[id] != v1alpha1.KeyRevoked {
			o.violated(Revoked, "%s of %s was revoked at %s and is on the deny list no more, and a token of it lives until %s",
				o.named(id), i.name, at(k.revoked), at(k.expiry))
		}
	}
}

// judgeStay finds a key that will leave the JWKS, or the deny list, too early: when the fastest clock says that it is time, the last
// token may live by the slowest that an application has signed which has heard last that another key signs, by the fastest.
func (o *Oracle) judgeStay(i *issuer, stated v1alpha1.KeyStatus) {
	k := i.keys[stated.ID]
	if !k.everSigned() || k.ended.IsZero() || k.lost || k.undone || i.disturbed {
		return
	}
	o.Checks++
	needed := k.ended.Add(o.facts.Propagation + k.longest + 2*o.facts.Fast - o.facts.Slow)
	if stated.RemoveAfter.Time.Before(needed.Truncate(time.Second)) {
		o.violated(NoOutliving, "%s of %s stopped to sign at %s, and will be removed at %s: who hears of it %s later by a kubelet, and whose clock is ahead, "+
			"may sign a token of %s that lives, by the slowest clock, until %s before the fastest says %s",
			o.named(k.id), i.name, at(k.ended), at(stated.RemoveAfter.Time), o.facts.Propagation, k.longest, at(needed.Add(-o.facts.Fast)), at(needed))
	}
	if stated.RemoveAfter.Time.Before(k.expiry.Add(o.facts.Fast - o.facts.Slow).Truncate(time.Second)) {
		o.violated(NoOutliving, "%s of %s will be removed at %s, and a token of it lives until %s by its signer's clock", o.named(k.id), i.name, at(stated.RemoveAfter.Time), at(k.expiry))
	}
}

// ready says whether the operator has said that the spec is in force.
func ready(object *v1alpha1.SigningKey) bool {
	return Ready(object.Status.Conditions, object.Generation)
}

func (o *Oracle) sawNamespace(e apiserver.Event) {
	namespace, _ := e.New.(*corev1.Namespace)
	o.namespaces[e.Name.Name] = namespace
	for _, i := range o.issuers {
		o.choose(i)
	}
}

// Habit observes that from now on verifiers keep what they fetch for that long.
func (o *Oracle) Habit(now time.Time, name types.NamespacedName, keep time.Duration) {
	if i := o.issuers[name]; i != nil {
		i.habits = append(i.habits, habit{now, keep})
	}
}

func (o *Oracle) sorted() []*issuer {
	return slices.SortedFunc(maps.Values(o.issuers), func(a, b *issuer) int { return strings.Compare(a.name.String(), b.name.String()) })
}

// at writes an instant.
func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// Names are the short names of all keys, by their IDs.
func (o *Oracle) Names() map[string]string { return o.names }
