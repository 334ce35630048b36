package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
	"github.com/keyturn/keyturn/test/simulation/oracle"
)

// Count is what was done in a world, or in many.
type Count struct {
	Worlds                                         int
	Time                                           time.Duration
	Events, Reconciles, Requests, Reviews, Refused int
	Tokens, Verifications, Checks                  int
	Faults                                         map[string]int
	Acts                                           map[string]int
}

func newCount() Count { return Count{Worlds: 1, Faults: map[string]int{}, Acts: map[string]int{}} }

func (c *Count) fault(kind string) { c.Faults[kind]++ }

// Add adds what was done in others.
func (c *Count) Add(o Count) {
	c.Worlds += o.Worlds
	c.Time += o.Time
	c.Events += o.Events
	c.Reconciles += o.Reconciles
	c.Requests += o.Requests
	c.Reviews += o.Reviews
	c.Refused += o.Refused
	c.Tokens += o.Tokens
	c.Verifications += o.Verifications
	c.Checks += o.Checks
	if c.Faults == nil {
		c.Faults, c.Acts = map[string]int{}, map[string]int{}
	}
	for kind, n := range o.Faults {
		c.Faults[kind] += n
	}
	for kind, n := range o.Acts {
		c.Acts[kind] += n
	}
}

// Outcome is what became of a world.
type Outcome struct {
	Plan       *Plan
	Violations []oracle.Violation
	Count      Count
	// Story is the timeline, if it was asked for.
	Story string
}

// Play plays a plan to its end, or until an invariant is broken. It writes the story down if that is asked for.
func Play(ctx context.Context, plan *Plan, story bool) Outcome {
	w := newWorld(ctx, plan)
	w.recording = story
	w.begin() //nolint:contextcheck // A world has the context.
	w.play(epoch().Add(time.Duration(plan.Days * float64(day))))
	if len(w.oracle.Violations) == 0 {
		w.heal()
	}
	w.close()
	w.count.Time, w.count.Tokens, w.count.Checks = w.now.Sub(epoch()), w.oracle.Tokens, w.oracle.Checks
	out := Outcome{Plan: plan, Violations: w.oracle.Violations, Count: w.count}
	if story {
		out.Story = w.tellAll()
	}
	return out
}

func (w *world) begin() {
	for n, name := range namespaces() {
		w.createNamespace(name, []map[string]string{nil, {"copy": "yes"}, {"copy": "yes"}}[n])
	}
	for _, r := range w.replicas {
		r.start()
	}
	// The operator is installed before anybody uses it.
	w.after(30*time.Second, func() {
		for n := range w.plan.Keys {
			w.createKey(&w.plan.Keys[n])
		}
		for n := range w.plan.Tokens {
			w.createToken(&w.plan.Tokens[n])
		}
		w.startSigners()
		w.startVerifiers()
	})
	for n := range w.plan.Acts {
		a := &w.plan.Acts[n]
		w.at(epoch().Add(time.Minute+time.Duration(a.At)), func() {
			w.count.Acts[a.Do]++
			w.happen(a)
		})
	}
}

// play goes on until an instant, or until something is wrong.
func (w *world) play(end time.Time) {
	for len(w.oracle.Violations) == 0 && w.step(end) {
		w.count.Events++
		if w.count.Events > mostEvents {
			w.broken("The world comes to rest", "it does not: more happens than can be of use")
		}
	}
}

// mostEvents is far more than any plan needs.
const mostEvents = 3_000_000

// heal lets nothing go wrong any more, and asks whether all is as it shall be after a while: invariant 7.
func (w *world) heal() {
	w.tell("world", "nothing goes wrong from now on")
	w.healed = true
	w.faults = nil
	for _, r := range w.replicas {
		p := r.process
		if p == nil || !p.alive {
			continue
		}
		p.trap = map[int]func(bool){}
		if p.frozen() || len(p.controllers) > 0 && p != w.lease.holder {
			p.frozenUntil = time.Time{}
			p.die("the world is healed")
			continue
		}
		p.cache.hold("", 0, true)
	}
	// Long enough for the longest backoff and for a failed rotation to be made up for.
	w.play(w.now.Add(3 * time.Hour))
	if len(w.oracle.Violations) == 0 {
		w.judgeRest()
	}
}

// judgeRest finds what is not as it shall be in a world at rest.
func (w *world) judgeRest() {
	for _, object := range w.server.List(apiserver.SigningKeys) {
		key := object.(*v1alpha1.SigningKey)
		if !oracle.Ready(key.Status.Conditions, key.Generation) {
			if key.Status.ObservedGeneration != key.Generation {
				w.broken(oracle.Converges, fmt.Sprintf("SigningKey %s/%s: generation %d was not seen, only %d", key.Namespace, key.Name, key.Generation, key.Status.ObservedGeneration))
			}
			if len(key.Status.Conditions) > 0 && key.Status.Conditions[0].Reason == v1alpha1.ReasonRetrying {
				w.broken(oracle.Converges, fmt.Sprintf("SigningKey %s/%s is still %s: %s", key.Namespace, key.Name, key.Status.Conditions[0].Reason, key.Status.Conditions[0].Message))
			}
			continue
		}
		w.judgeCopies(key)
	}
	for _, object := range w.server.List(apiserver.ServiceTokens) {
		w.judgeHeld(object.(*v1alpha1.ServiceToken))
	}
}

func (w *world) judgeCopies(key *v1alpha1.SigningKey) {
	ring, _ := w.server.Lookup(apiserver.Name{Kind: apiserver.Secrets, Namespace: key.Namespace, Name: spec.RingSecretName(key)}).(*corev1.Secret)
	if ring == nil {
		w.broken(oracle.Converges, fmt.Sprintf("SigningKey %s/%s is Ready and has no ring", key.Namespace, key.Name))
		return
	}
	want := strings.Join(oracle.KeyIDs(ring.Data["jwks.json"]), " ")
	for _, ns := range w.server.List(apiserver.Namespaces) {
		chosen := ns.GetName() == key.Namespace || key.Spec.JWKS.Namespaces != nil && oracle.Selects(key.Spec.JWKS.Namespaces, ns.GetLabels())
		cm, _ := w.server.Lookup(apiserver.Name{Kind: apiserver.ConfigMaps, Namespace: ns.GetName(), Name: spec.JWKSName(key)}).(*corev1.ConfigMap)
		switch {
		case !chosen || !ns.GetDeletionTimestamp().IsZero():
			continue
		case cm == nil:
			w.broken(oracle.Converges, fmt.Sprintf("SigningKey %s/%s is Ready and has no copy in %s", key.Namespace, key.Name, ns.GetName()))
		case strings.Join(oracle.KeyIDs([]byte(cm.Data[v1alpha1.ConfigMapKeyJWKS])), " ") != want:
			w.broken(oracle.Converges, fmt.Sprintf("the copy of SigningKey %s/%s in %s is not what the ring holds", key.Namespace, key.Name, ns.GetName()))
		}
	}
	var status []string
	for _, k := range key.Status.Keys {
		if k.State != v1alpha1.KeyRevoked {
			status = append(status, k.ID)
		}
	}
	if strings.Join(status, " ") != want {
		w.broken(oracle.Converges, fmt.Sprintf("the status of SigningKey %s/%s does not tell of the ring", key.Namespace, key.Name))
	}
}

func (w *world) judgeHeld(t *v1alpha1.ServiceToken) {
	key := w.signingKey(spec.KeyRef(t))
	if !oracle.Ready(t.Status.Conditions, t.Generation) {
		if t.Status.ObservedGeneration != t.Generation && key != nil && oracle.Ready(key.Status.Conditions, key.Generation) {
			w.broken(oracle.Converges, fmt.Sprintf("ServiceToken %s/%s: generation %d was not seen, only %d", t.Namespace, t.Name, t.Generation, t.Status.ObservedGeneration))
		}
		return
	}
	secret, _ := w.server.Lookup(apiserver.Name{Kind: apiserver.Secrets, Namespace: t.Namespace, Name: spec.TokenSecretName(t)}).(*corev1.Secret)
	if secret == nil {
		w.broken(oracle.Converges, fmt.Sprintf("ServiceToken %s/%s is Ready and has no Secret", t.Namespace, t.Name))
		return
	}
	says, err := oracle.ReadToken(string(secret.Data[v1alpha1.SecretKeyToken]))
	switch {
	case err != nil:
		w.broken(oracle.Converges, fmt.Sprintf("ServiceToken %s/%s is Ready and holds no token: %v", t.Namespace, t.Name, err))
	case key == nil && w.restored:
		return // Its status came back with the backup, and nothing that concerns it has happened since.
	case key == nil || !slices.ContainsFunc(key.Status.Keys, func(k v1alpha1.KeyStatus) bool { return k.ID == says.KeyID && k.State != v1alpha1.KeyRevoked }):
		w.broken(oracle.Converges, fmt.Sprintf("ServiceToken %s/%s is Ready and holds a token that verifies nowhere", t.Namespace, t.Name))
	case !says.Expiry.After(w.now):
		w.broken(oracle.Converges, fmt.Sprintf("ServiceToken %s/%s is Ready and holds a token that has expired", t.Namespace, t.Name))
	case t.Status.TokenID != says.ID:
		w.broken(oracle.Converges, fmt.Sprintf("the status of ServiceToken %s/%s tells of another token than it holds", t.Namespace, t.Name))
	}
}

// close ends every process.
func (w *world) close() {
	for _, r := range w.replicas {
		r.away = true
		if r.process != nil && r.process.alive {
			p := r.process
			p.alive = false
			for _, c := range p.controllers {
				c.end()
			}
			w.running = nil
			p.end()
		}
	}
}

// describe says what an object holds, for people.
func (w *world) describe(name apiserver.Name) string {
	if !w.recording {
		return ""
	}
	switch object := w.server.Lookup(name).(type) {
	case *corev1.Secret:
		if object.Type == v1alpha1.SecretTypeToken {
			return w.describeToken(string(object.Data[v1alpha1.SecretKeyToken]))
		}
		return fmt.Sprintf(" {signs: %s, keys: %v}", object.Data["key-id"], oracle.KeyIDs(object.Data["ring.json"]))
	case *corev1.ConfigMap:
		return fmt.Sprintf(" {keys: %v}", oracle.KeyIDs([]byte(object.Data[v1alpha1.ConfigMapKeyJWKS])))
	case *v1alpha1.SigningKey:
		var keys []string
		for _, k := range object.Status.Keys {
			keys = append(keys, k.ID+" "+string(k.State))
		}
		return fmt.Sprintf(" {generation %d, seen %d; %s every %s, cache %s, delay %s, skew %s, tokens to %s, revoked %v; %v}", object.Generation, object.Status.ObservedGeneration,
			object.Spec.Algorithm, lasting(object.Spec.Rotation.Period, 0), lasting(object.Spec.Rotation.VerifierCacheDuration, 0),
			lasting(object.Spec.Rotation.PropagationDelay, 0), lasting(object.Spec.Rotation.ClockSkew, 0), spec.MaxDuration(object), object.Spec.RevokedKeyIDs, strings.Join(keys, ", "))
	default:
		return ""
	}
}

func (w *world) describeToken(compact string) string {
	if !w.recording {
		return ""
	}
	t, err := oracle.ReadToken(compact)
	if err != nil {
		return " {no token}"
	}
	return fmt.Sprintf(" {%s, issued %s, until %s}", t.KeyID, t.IssuedAt.Format(time.DateTime), t.Expiry.Format(time.DateTime))
}

// tellAll writes the story down, with short names in the place of key IDs.
func (w *world) tellAll() string {
	var names []string
	for _, id := range slices.Sorted(maps.Keys(w.oracle.Names())) {
		names = append(names, id, w.oracle.Names()[id])
	}
	replacer := strings.NewReplacer(names...)
	var out strings.Builder
	for _, l := range w.story {
		fmt.Fprintf(&out, "%s  %-14s %s\n", l.at.Format("2006-01-02 15:04:05.000"), l.who, replacer.Replace(l.what))
	}
	for _, v := range w.oracle.Violations {
		fmt.Fprintf(&out, "%s  %-14s %s: %s\n", v.At.Format("2006-01-02 15:04:05.000"), "ORACLE", v.Invariant, replacer.Replace(v.Because))
	}
	return out.String()
}
