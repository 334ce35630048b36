package simulation

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// user is who edits.
const user = "somebody"

// create lets a user create an object.
func (w *world) create(object client.Object) error {
	_, err := w.server.Create(user, user, object)
	w.told("create", apiserver.NameOf(object), err)
	return err
}

// edit lets a user change an object, if it is there.
func edit[T client.Object](w *world, name apiserver.Name, what string, change func(T)) error {
	present := w.server.Lookup(name)
	if present == nil {
		return nil
	}
	object := present.DeepCopyObject().(T)
	change(object)
	_, err := w.server.Update(user, user, object)
	w.told(what, name, err)
	return err
}

// remove lets a user delete an object, if it is there.
func (w *world) remove(name apiserver.Name) {
	if w.server.Lookup(name) != nil {
		w.told("delete", name, w.server.Delete(user, name, apiserver.Conditions{}))
	}
}

func (w *world) told(what string, name apiserver.Name, err error) {
	if err != nil {
		w.tell(user, "may not %s %s: %v", what, name, err)
		return
	}
	w.tell(user, "%s %s%s", what, name, w.describe(name))
}

func signingKeyNamed(name types.NamespacedName) apiserver.Name {
	return apiserver.Name{Kind: apiserver.SigningKeys, Namespace: name.Namespace, Name: name.Name}
}

func span(d time.Duration) *metav1.Duration {
	return &metav1.Duration{Duration: d.Truncate(time.Second)}
}

// createKey creates a SigningKey as it is planned.
func (w *world) createKey(k *KeyPlan) {
	name := nameOf(k.Name)
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	if !k.Served {
		key.Spec.Issuer = "https://" + name.Name + ".example"
	}
	key.Spec.Algorithm = v1alpha1.Algorithm(k.Algorithm)
	key.Spec.Rotation = v1alpha1.RotationSpec{
		Period: span(time.Duration(k.Period)), VerifierCacheDuration: span(time.Duration(k.Cache)),
		PropagationDelay: span(time.Duration(w.plan.Propagation + k.Extra)), ClockSkew: span(time.Duration(w.plan.Skew + k.Extra)),
	}
	key.Spec.Tokens.MaxDuration = span(time.Duration(k.Longest))
	if k.Everyone {
		key.Spec.Tokens.AllowedNamespaces.From = v1alpha1.NamespacesFromAll
	}
	if k.Copies {
		key.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"copy": "yes"}}
	}
	if w.create(key) != nil {
		return
	}
	i := w.issuers[name]
	if i == nil {
		i = &issuer{name: name}
		w.issuers[name] = i
	}
	i.keep, i.longest = time.Duration(k.Cache), time.Duration(k.Longest)
	i.wantedKeep, i.wantedLongest, i.tokens = 0, 0, nil
}

// createToken creates a ServiceToken as it is planned.
func (w *world) createToken(t *TokenPlan) {
	name, key := nameOf(t.Name), nameOf(t.Key)
	object := &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef: v1alpha1.SigningKeyReference{Name: key.Name, Namespace: key.Namespace}, ServiceAccountName: name.Name,
			Audiences: []v1alpha1.Audience{audience}, Duration: span(time.Duration(t.Duration)),
		},
	}
	if t.Access {
		object.Spec.Profile = v1alpha1.ProfileAccessToken
	}
	_ = w.create(object) // Who may not is told so in the story.
}

func (w *world) createNamespace(name string, labels map[string]string) {
	_ = w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
}

// happen lets an act happen.
func (w *world) happen(a *Act) {
	switch {
	case w.editKey(a), w.editToken(a), w.editNamespace(a), w.disturb(a), w.breakDown(a):
	default:
		panic("nobody knows how to " + a.Do)
	}
}

// editKey is what users do to SigningKeys.
func (w *world) editKey(a *Act) bool {
	name := nameOf(a.On)
	object := signingKeyNamed(name)
	change := func(f func(*v1alpha1.SigningKey)) { _ = edit(w, object, a.Do, f) }
	switch a.Do {
	case "set the period":
		change(func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Period = span(time.Duration(a.For)) })
	case "set the cache":
		w.setCache(a, change)
	case "set the longest life":
		w.setLongest(a, change)
	case "set propagation and skew":
		change(func(k *v1alpha1.SigningKey) {
			k.Spec.Rotation.PropagationDelay = span(time.Duration(w.plan.Propagation + a.For))
			k.Spec.Rotation.ClockSkew = span(time.Duration(w.plan.Skew) + time.Duration(a.For)/2)
		})
	case "set the algorithm":
		change(func(k *v1alpha1.SigningKey) { k.Spec.Algorithm = algorithms()[a.N%len(algorithms())] })
	case "rotate":
		change(func(k *v1alpha1.SigningKey) {
			k.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: w.now.Format(time.RFC3339)}
		})
	case "revoke":
		w.revoke(name, a.N)
	case "forgive":
		change(func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = nil })
	case "choose copies":
		change(func(k *v1alpha1.SigningKey) {
			k.Spec.JWKS.Namespaces = []*metav1.LabelSelector{nil, {}, {MatchLabels: map[string]string{"copy": "yes"}}}[a.N%3]
		})
	case "rename copies":
		change(func(k *v1alpha1.SigningKey) {
			k.Spec.JWKS.Name = []string{"", name.Name + "-keys", name.Name + "-public"}[a.N%3]
		})
	case "set a rule":
		change(func(k *v1alpha1.SigningKey) {
			k.Spec.Tokens.Rules = [][]v1alpha1.TokenRule{
				nil, {{Expression: `namespace.name != "shop"`, Message: "not for the shop"}}, {{Expression: `claims.exp - claims.iat < 7200`}},
			}[a.N%3]
		})
	case "allow":
		change(func(k *v1alpha1.SigningKey) {
			k.Spec.Tokens.AllowedNamespaces.From = []v1alpha1.NamespaceScope{v1alpha1.NamespacesFromAll, v1alpha1.NamespacesFromSame}[a.N%2]
		})
	case "delete key":
		w.remove(object)
	case "delete key by force":
		change(func(k *v1alpha1.SigningKey) {
			k.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "true"}
		})
		w.remove(object)
	case "create key":
		if n := slices.IndexFunc(w.plan.Keys, func(k KeyPlan) bool { return k.Name == a.On }); n >= 0 && w.signingKey(name) == nil {
			w.createKey(&w.plan.Keys[n])
		}
	default:
		return false
	}
	return true
}

func algorithms() []v1alpha1.Algorithm {
	return []v1alpha1.Algorithm{"ES256", "EdDSA"}
}

// setCache shortens the habit of verifiers before the declaration, and lengthens it when the declaration is in force.
func (w *world) setCache(a *Act, change func(func(*v1alpha1.SigningKey))) {
	i, keep := w.issuers[nameOf(a.On)], time.Duration(a.For)
	if i == nil {
		return
	}
	i.wantedKeep = keep
	if keep < i.keep {
		i.keep = keep
		w.oracle.Habit(w.now, i.name, keep)
	}
	change(func(k *v1alpha1.SigningKey) { k.Spec.Rotation.VerifierCacheDuration = span(keep) })
}

func (w *world) setLongest(a *Act, change func(func(*v1alpha1.SigningKey))) {
	i, longest := w.issuers[nameOf(a.On)], time.Duration(a.For)
	if i == nil {
		return
	}
	i.wantedLongest = longest
	i.longest = min(i.longest, longest)
	change(func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = span(longest) })
}

// revoke names keys as compromised: that which signs, that which follows, one that has retired, or all.
func (w *world) revoke(name types.NamespacedName, which int) {
	key := w.signingKey(name)
	if key == nil {
		return
	}
	states := [][]v1alpha1.KeyState{
		{v1alpha1.KeyActive}, {v1alpha1.KeyPending}, {v1alpha1.KeyRetired}, {v1alpha1.KeyActive, v1alpha1.KeyPending, v1alpha1.KeyRetired},
	}[which%4]
	_ = edit(w, signingKeyNamed(name), "revoke", func(k *v1alpha1.SigningKey) {
		for _, s := range key.Status.Keys {
			if id := v1alpha1.KeyID(s.ID); slices.Contains(states, s.State) && !slices.Contains(k.Spec.RevokedKeyIDs, id) && len(k.Spec.RevokedKeyIDs) < 60 {
				k.Spec.RevokedKeyIDs = append(k.Spec.RevokedKeyIDs, id)
			}
		}
	})
}

// editToken is what users do to ServiceTokens.
func (w *world) editToken(a *Act) bool {
	name := nameOf(a.On)
	object := apiserver.Name{Kind: apiserver.ServiceTokens, Namespace: name.Namespace, Name: name.Name}
	change := func(f func(*v1alpha1.ServiceToken)) { _ = edit(w, object, a.Do, f) }
	switch a.Do {
	case "set the duration":
		change(func(t *v1alpha1.ServiceToken) { t.Spec.Duration, t.Spec.RenewBefore = span(time.Duration(a.For)), nil })
	case "renew before":
		change(func(t *v1alpha1.ServiceToken) { t.Spec.RenewBefore = span(spec.Duration(t) * 2 / 5) })
	case "set claims":
		change(func(t *v1alpha1.ServiceToken) {
			t.Spec.Claims = &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"n":%d}`, a.N)}
		})
	case "let it end":
		change(func(t *v1alpha1.ServiceToken) {
			t.Spec.ExpiresAt = nil
			if a.For > 0 {
				t.Spec.ExpiresAt = &metav1.Time{Time: w.now.Add(time.Duration(a.For)).Truncate(time.Second)}
			}
		})
	case "add a template":
		change(func(t *v1alpha1.ServiceToken) {
			t.Spec.SecretTemplate = &v1alpha1.SecretTemplate{Data: map[string]v1alpha1.TemplateText{"header": "Bearer {{ .Token }}"}}
		})
	case "delete token":
		w.remove(object)
	case "create token":
		if n := slices.IndexFunc(w.plan.Tokens, func(t TokenPlan) bool { return t.Name == a.On }); n >= 0 && w.server.Lookup(object) == nil {
			w.createToken(&w.plan.Tokens[n])
		}
	default:
		return false
	}
	return true
}

// editNamespace is what users do to namespaces.
func (w *world) editNamespace(a *Act) bool {
	object := apiserver.Name{Kind: apiserver.Namespaces, Name: a.On}
	label := func(labels map[string]string) {
		_ = edit(w, object, a.Do, func(n *corev1.Namespace) { n.Labels = labels })
	}
	switch a.Do {
	case "label namespace":
		label(map[string]string{"copy": "yes"})
	case "unlabel namespace":
		label(nil)
	case "delete namespace":
		w.remove(object)
	case "create namespace":
		if w.server.Lookup(object) == nil {
			w.createNamespace(a.On, map[string]string{"copy": "yes"})
		}
	default:
		return false
	}
	return true
}
