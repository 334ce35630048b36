package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
	"github.com/keyturn/keyturn/test/simulation/oracle"
	judge "github.com/keyturn/keyturn/test/verifier"
)

// verifier is somebody who judges tokens with a set that is cached, by another JOSE library than the operator's.
type verifier struct {
	w     *world
	name  string
	plan  *VerifierPlan
	of    *issuer
	clock *clock
	judge *judge.Verifier
	// ids are the keys of the set at hand, from is where it came from.
	ids  []string
	from string
	// remembered are all keys it has ever seen, for one that never forgets.
	remembered map[string]json.RawMessage
}

var errNoEndpoint = errors.New("no endpoint answers")

// startVerifiers lets verifiers judge from time to time.
func (w *world) startVerifiers() {
	for n := range w.plan.Verifiers {
		plan := &w.plan.Verifiers[n]
		of := w.issuers[nameOf(plan.Key)]
		if of == nil {
			continue
		}
		v := &verifier{
			w: w, name: fmt.Sprintf("verifier-%d", n+1), plan: plan, of: of, clock: w.clock(plan.Clock),
			remembered: map[string]json.RawMessage{},
		}
		v.judge = &judge.Verifier{Habit: v.name, Audience: audience, Source: v.fetch, Refetch: plan.Refetches || plan.Remembers}
		w.verifiers = append(w.verifiers, v)
		var tick func()
		tick = func() {
			v.work()
			w.after(w.draw(v.name, time.Duration(plan.Every)/2, time.Duration(plan.Every)*3/2), tick)
		}
		w.after(w.draw(v.name, 0, time.Duration(plan.Every)), tick)
	}
}

// fetch is where the verifier gets its set.
func (v *verifier) fetch(context.Context, time.Time) ([]byte, time.Duration, error) {
	text, fresh, err := v.source()
	if err != nil {
		return nil, 0, err
	}
	keep := v.of.keep
	if v.plan.Keep > 0 {
		keep = min(keep, time.Duration(v.plan.Keep))
	}
	v.judge.Keep = keep
	if !v.plan.Heeds {
		fresh = keep
	}
	if v.plan.Remembers {
		return v.remember(text), fresh, nil
	}
	v.ids = oracle.KeyIDs(text)
	return text, fresh, nil
}

// source is what is published where the verifier looks.
func (v *verifier) source() ([]byte, time.Duration, error) {
	w := v.w
	if v.plan.From != "https" {
		key := w.signingKey(v.of.name)
		if key == nil {
			return nil, 0, errNoEndpoint
		}
		m := w.pods[apiserver.Name{Kind: apiserver.ConfigMaps, Namespace: v.plan.From, Name: spec.JWKSName(key)}]
		if m == nil {
			return nil, 0, errNoEndpoint
		}
		v.from = v.plan.From
		return m.content[v1alpha1.ConfigMapKeyJWKS], v.of.keep, nil
	}
	first := w.random(v.name).IntN(len(w.replicas))
	for n := range w.replicas {
		p := w.replicas[(first+n)%len(w.replicas)].process
		if p == nil || !p.alive || p.frozen() || p.unready {
			continue
		}
		if body, keep := p.fetch(v.of.name); body != nil {
			v.from = "https " + p.of.name
			return body, keep, nil
		}
	}
	return nil, 0, errNoEndpoint
}

// remember adds what was fetched to all that was ever seen.
func (v *verifier) remember(text []byte) []byte {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(text, &set) == nil {
		for n, id := range oracle.KeyIDs(text) {
			v.remembered[id] = set.Keys[n]
		}
	}
	set.Keys, v.ids = nil, nil
	for _, id := range sortedStrings(v.remembered) {
		set.Keys, v.ids = append(set.Keys, v.remembered[id]), append(v.ids, id)
	}
	all, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return all
}

// work judges the tokens that are presented: those in pods, and the latest of applications and token servers.
func (v *verifier) work() {
	w := v.w
	key := w.signingKey(v.of.name)
	if key == nil {
		return
	}
	issuerOf, err := w.operator.Issuer(key)
	if err != nil {
		return
	}
	v.judge.Issuer = issuerOf
	for _, compact := range append(w.held(v.of.name), v.of.tokens...) {
		v.verify(key, compact)
	}
}

// held are the tokens of a SigningKey that pods mount.
func (w *world) held(key types.NamespacedName) []string {
	var tokens []string
	for _, object := range w.server.List(apiserver.ServiceTokens) {
		t := object.(*v1alpha1.ServiceToken)
		m := w.pods[apiserver.Name{Kind: apiserver.Secrets, Namespace: t.Namespace, Name: spec.TokenSecretName(t)}]
		if spec.KeyRef(t) == key && m != nil && !m.foreign && len(m.content[v1alpha1.SecretKeyToken]) > 0 {
			tokens = append(tokens, string(m.content[v1alpha1.SecretKeyToken]))
		}
	}
	return tokens
}

func (v *verifier) verify(key *v1alpha1.SigningKey, compact string) {
	w, now := v.w, v.clock.Now()
	t, err := oracle.ReadToken(compact)
	if err != nil || !t.Expiry.After(now) {
		return
	}
	w.count.Verifications++
	denied := v.plan.Remembers && spec.IsRevoked(key, t.KeyID)
	err = v.judge.Verify(w.ctx, now, compact)
	switch {
	case denied, errors.Is(err, errNoEndpoint):
		return
	case errors.Is(err, jwt.ErrIssuedInTheFuture) && !t.IssuedAt.After(now.Add(w.spread()+time.Second)):
		// Who refuses an "iat" ahead of its clock has to grant the skew by itself (decision 2); the signature is right.
		return
	case err == nil:
		w.oracle.Accepted(w.now, v.of.name, v.name, t, v.plan.Remembers)
	default:
		w.oracle.Refused(w.now, v.of.name, v.from, v.ids, v.name, t, err)
	}
}

func cmpString(a, b string) int { return strings.Compare(a, b) }

func sortedStrings[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func sorted[V any](m map[apiserver.Name]V) []apiserver.Name {
	var names []apiserver.Name
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, compare)
	return names
}
