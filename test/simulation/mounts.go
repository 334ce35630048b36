package simulation

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
	"github.com/keyturn/keyturn/test/simulation/oracle"
)

// issuer is what those know who use a SigningKey.
type issuer struct {
	name types.NamespacedName
	// keep is for how long verifiers keep a set, longest how long tokens of applications live: never more than is declared.
	// Who lengthens a declared duration tells them when the SigningKey says that it is in force; who shortens one tells them first.
	keep, longest time.Duration
	wantedKeep    time.Duration
	wantedLongest time.Duration
	// tokens are those that applications and token servers have signed last.
	tokens []string
	// apps are the applications that mount the private half.
	apps []*SignerPlan
}

// mount is a Secret's or ConfigMap's content in a pod: it follows the object with the kubelet's delay.
type mount struct {
	content map[string][]byte
	foreign bool
	order   int
}

// mountAll lets kubelets bring a change to pods.
func (w *world) mountAll(e apiserver.Event) {
	if e.Name.Kind != apiserver.Secrets && e.Name.Kind != apiserver.ConfigMaps {
		return
	}
	if e.New == nil {
		// What is mounted stays in a running pod when the object goes, but not when the namespace does.
		if e.By == apiserver.NamespaceController {
			delete(w.pods, e.Name)
		}
		return
	}
	w.mounted++
	next := &mount{content: contentOf(e.New), foreign: e.By != operatorUser, order: w.mounted}
	w.after(w.draw("kubelet", 0, time.Duration(w.plan.Propagation)+1), func() {
		if now := w.pods[e.Name]; now == nil || now.order < next.order {
			w.pods[e.Name] = next
		}
	})
	secret, ok := e.New.(*corev1.Secret)
	before, was := e.Old.(*corev1.Secret)
	if ok && was && secret.Type == v1alpha1.SecretTypeSigningKey && string(secret.Data["key-id"]) != string(before.Data["key-id"]) {
		w.handedOver(e, before)
	}
}

func contentOf(object client.Object) map[string][]byte {
	switch object := object.(type) {
	case *corev1.Secret:
		return object.Data
	case *corev1.ConfigMap:
		content := map[string][]byte{}
		for k, v := range object.Data {
			content[k] = []byte(v)
		}
		return content
	default:
		return nil
	}
}

// handedOver lets those sign at the first moment who know that another key signs, and those at the last who do not: applications
// whose kubelet is the fastest and the slowest, and token servers that ask at once, and that have asked just before.
func (w *world) handedOver(e apiserver.Event, before *corev1.Secret) {
	for _, name := range w.sortedIssuers() {
		i := w.issuers[name]
		if ringOf(w, name) != e.Name {
			continue
		}
		for _, app := range i.apps {
			old := &mount{content: before.Data}
			if app.Mounts && e.By == operatorUser {
				now := &mount{content: contentOf(e.New)}
				w.after(0, func() { w.appSigns(i, app, now, "the fastest application") })
				w.after(time.Duration(w.plan.Propagation), func() { w.appSigns(i, app, old, "the slowest application") })
			}
			if !app.Mounts {
				w.after(time.Second, func() { w.serversSign(i) })
				w.after(time.Duration(w.plan.Staleness)/2-time.Second, func() { w.serversSign(i) })
			}
		}
	}
}

func (w *world) sortedIssuers() []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(w.issuers), func(a, b types.NamespacedName) int { return cmpString(a.String(), b.String()) })
}

// ringOf is the ring Secret of a SigningKey.
func ringOf(w *world, name types.NamespacedName) apiserver.Name {
	ring := apiserver.Name{Kind: apiserver.Secrets, Namespace: name.Namespace, Name: name.Name + "-signing-key"}
	if key := w.signingKey(name); key != nil {
		ring.Name = spec.RingSecretName(key)
	}
	return ring
}

func (w *world) signingKey(name types.NamespacedName) *v1alpha1.SigningKey {
	key, _ := w.server.Lookup(apiserver.Name{Kind: apiserver.SigningKeys, Namespace: name.Namespace, Name: name.Name}).(*v1alpha1.SigningKey)
	return key
}

// startSigners lets applications and token servers sign from time to time.
func (w *world) startSigners() {
	for n := range w.plan.Signers {
		s := &w.plan.Signers[n]
		i := w.issuers[nameOf(s.Key)]
		if i == nil {
			continue
		}
		i.apps = append(i.apps, s)
		who := fmt.Sprintf("signer-%d", n+1)
		var tick func()
		tick = func() {
			if s.Mounts {
				w.appSigns(i, s, w.pods[ringOf(w, i.name)], who)
			} else {
				w.serversSign(i)
			}
			w.after(w.draw(who, time.Duration(s.Every)/2, time.Duration(s.Every)*3/2), tick)
		}
		w.after(w.draw(who, 0, time.Duration(s.Every)), tick)
	}
}

// appSigns lets an application sign with the private half that it mounts.
func (w *world) appSigns(i *issuer, s *SignerPlan, m *mount, who string) {
	key := w.signingKey(i.name)
	if m == nil || m.foreign || key == nil {
		return
	}
	private, err := jose.ParsePrivateKey(m.content["signing-key.jwk"])
	if err != nil {
		return
	}
	now := w.clock(s.Clock).Now().Truncate(time.Second)
	request := w.request(key, i.longest)
	payload, err := token.Encode(request.Payload(fmt.Sprintf("app-%d", w.oracle.Tokens), now))
	if err != nil {
		panic(err)
	}
	compact, err := jose.Sign(private, token.TypeJWT, payload)
	if err != nil {
		panic(err)
	}
	w.presents(i, compact.Reveal(), who, time.Duration(w.plan.Propagation))
}

func (w *world) request(key *v1alpha1.SigningKey, longest time.Duration) token.Request {
	issuerOf, err := w.operator.Issuer(key)
	if err != nil {
		panic(err)
	}
	return token.Request{
		Issuer: issuerOf, Subject: "somebody", Audiences: []string{audience}, Type: token.TypeJWT, Duration: longest,
		Skew: w.operator.Policy(key).Skew,
	}
}

func (w *world) presents(i *issuer, compact, who string, stale time.Duration) {
	w.tell(who, "signs a token of %s%s", i.name, w.describeToken(compact))
	w.oracle.Issued(w.now, i.name, compact, "the token of "+who, stale)
	i.tokens = append(i.tokens, compact)
	i.tokens = i.tokens[max(0, len(i.tokens)-4):]
}

// serversSign lets the token server of every replica sign, as internal/ringstore and internal/domain/token tell it to.
func (w *world) serversSign(i *issuer) {
	for _, r := range w.replicas {
		p := r.process
		if p == nil || !p.alive || p.frozen() {
			continue
		}
		w.spawn(p, func() { w.serverSigns(i, p) })
	}
}

// serverSigns is what internal/tokenservice does.
func (w *world) serverSigns(i *issuer, p *process) {
	// As the token service does: a token says the instant before its ring was asked for, however long that takes.
	now := p.of.clock.Now()
	key := &v1alpha1.SigningKey{}
	if p.client.Get(w.ctx, i.name, key) != nil {
		return
	}
	ring, err := p.rings.Fresh(w.ctx, key)
	if err != nil {
		return
	}
	keys := token.Keys{Ring: ring.Ring(), Revoked: spec.RevokedKeyIDs(key)}
	request := w.request(key, spec.MaxDuration(key))
	terms, err := token.Lawful(request, keys, now)
	if err != nil {
		return
	}
	payload, err := token.Encode(request.Payload(fmt.Sprintf("server-%d", w.oracle.Tokens), terms.IssuedAt))
	if err != nil {
		panic(err)
	}
	signer, _ := ring.Signer()
	compact, err := jose.Sign(signer, token.TypeJWT, payload)
	if err != nil {
		panic(err)
	}
	w.presents(i, compact.Reveal(), "the token server of "+p.of.name, time.Duration(w.plan.Staleness))
}

// heed lets those who use a SigningKey hear that a longer duration is in force.
func (w *world) heed(e apiserver.Event) {
	key, ok := e.New.(*v1alpha1.SigningKey)
	if !ok {
		return
	}
	if before, was := e.Old.(*v1alpha1.SigningKey); was && len(key.Spec.RevokedKeyIDs) > len(before.Spec.RevokedKeyIDs) {
		w.after(w.operator.LongestView()+readinessLag+time.Second, w.readAllBack)
	}
	i := w.issuers[types.NamespacedName{Namespace: key.Namespace, Name: key.Name}]
	if i == nil || !oracle.Ready(key.Status.Conditions, key.Generation) {
		return
	}
	if declared := lasting(key.Spec.Rotation.VerifierCacheDuration, time.Hour); i.wantedKeep > i.keep && declared >= i.wantedKeep {
		i.keep = i.wantedKeep
		w.oracle.Habit(w.now, i.name, i.keep)
	}
	if longest := i.wantedLongest; longest > i.longest && spec.MaxDuration(key) >= longest {
		// What an application mounts can still be the key before, of which the ring remembers shorter lives.
		w.after(time.Duration(w.plan.Propagation)+time.Second, func() {
			if i.wantedLongest == longest {
				i.longest = longest
			}
		})
	}
}

// readAllBack fetches what every replica serves.
func (w *world) readAllBack() {
	for _, r := range w.replicas {
		if p := r.process; p != nil && p.alive && !p.frozen() {
			p.readBack()
		}
	}
}

func lasting(d *metav1.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.Duration
}

// audience is who all tokens are for.
const audience = "https://verifier.example"
