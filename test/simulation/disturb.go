package simulation

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
	"github.com/keyturn/keyturn/test/simulation/oracle"
)

// remember keeps what the operator has stored in Secrets and ConfigMaps, for whoever puts an older one back.
func (w *world) remember(e apiserver.Event) {
	if e.Name.Kind == apiserver.SigningKeys && e.New == nil {
		clear(w.past) // See restore: another ring begins to count.
	}
	if e.By != operatorUser || e.New == nil || e.Name.Kind != apiserver.Secrets && e.Name.Kind != apiserver.ConfigMaps {
		return
	}
	const most = 12
	w.past[e.Name] = append(w.past[e.Name], e)
	w.past[e.Name] = w.past[e.Name][max(0, len(w.past[e.Name])-most):]
}

// disturb is what users do behind the operator's back.
func (w *world) disturb(a *Act) bool {
	name := nameOf(a.On)
	switch a.Do {
	case "delete ring":
		w.remove(ringOf(w, name))
	case "corrupt ring":
		_ = edit(w, ringOf(w, name), a.Do, func(s *corev1.Secret) {
			s.Data = maps.Clone(s.Data)
			s.Data[[]string{"ring.json", "key-id", "signing-key.pem"}[a.N%3]] = []byte("{")
		})
	case "strip ring":
		_ = edit(w, ringOf(w, name), a.Do, func(s *corev1.Secret) { s.Labels = nil })
	case "roll back ring":
		w.rollBack(ringOf(w, name), a)
	case "delete copy":
		w.remove(w.copyOf(name, a.N))
	case "corrupt copy":
		_ = edit(w, w.copyOf(name, a.N), a.Do, func(cm *corev1.ConfigMap) { cm.Data = map[string]string{v1alpha1.ConfigMapKeyJWKS: "{"} })
	case "forge copy":
		_ = edit(w, w.copyOf(name, a.N), a.Do, func(cm *corev1.ConfigMap) {
			cm.Annotations = map[string]string{v1alpha1.AnnotationRingGeneration: "999999999"}
			cm.Data = map[string]string{v1alpha1.ConfigMapKeyJWKS: forgedSet, v1alpha1.ConfigMapKeyIssuer: "forged"}
		})
		if a.N%4 < 2 {
			// Whoever does that may have waited for the ring to be lost.
			w.remove(ringOf(w, name))
		}
	case "roll back copy":
		w.rollBack(w.copyOf(name, a.N), a)
	case "delete token Secret":
		w.remove(w.secretOf(name))
	case "corrupt token Secret":
		_ = edit(w, w.secretOf(name), a.Do, func(s *corev1.Secret) { s.Data = map[string][]byte{"token": []byte("no token")} })
	case "strip token Secret":
		_ = edit(w, w.secretOf(name), a.Do, func(s *corev1.Secret) { s.Labels, s.OwnerReferences = nil, nil })
		// The ServiceToken says what to do, and somebody does it after a while.
		w.after(w.draw(user, time.Minute, time.Hour), func() { w.remove(w.secretOf(name)) })
	case "roll back token Secret":
		w.rollBack(w.secretOf(name), a)
	case "back up etcd":
		backup := w.server.Backup()
		w.backup, w.backedUp = &backup, w.now
		w.tell("etcd", "is backed up")
	case "restore etcd":
		w.restore(a)
	default:
		return false
	}
	return true
}

const forgedSet = `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// copyOf is a copy of a SigningKey's JWKS: in its own namespace, or in one of the others.
func (w *world) copyOf(name types.NamespacedName, n int) apiserver.Name {
	copied := apiserver.Name{Kind: apiserver.ConfigMaps, Namespace: name.Namespace, Name: name.Name + "-jwks"}
	if key := w.signingKey(name); key != nil {
		copied.Name = spec.JWKSName(key)
	}
	if places := namespaces(); n%2 == 1 {
		copied.Namespace = places[n/2%len(places)]
	}
	return copied
}

func (w *world) secretOf(name types.NamespacedName) apiserver.Name {
	return apiserver.Name{Kind: apiserver.Secrets, Namespace: name.Namespace, Name: name.Name}
}

// rollBack puts back what an object held before.
func (w *world) rollBack(name apiserver.Name, a *Act) {
	past := w.past[name]
	if back := len(past) - 2 - a.N%4; back >= 0 {
		switch old := past[back].New.(type) {
		case *corev1.Secret:
			_ = edit(w, name, a.Do, func(s *corev1.Secret) { s.Data = old.Data })
		case *corev1.ConfigMap:
			_ = edit(w, name, a.Do, func(cm *corev1.ConfigMap) { cm.Data, cm.Annotations = old.Data, old.Annotations })
		}
	}
}

// restore brings all objects back to the backup. API servers are restarted then, so that everybody lists everything anew.
func (w *world) restore(a *Act) {
	if w.backup == nil {
		return
	}
	w.tell("etcd", "is restored from its backup")
	w.oracle.Rewind(w.now, w.backedUp, w.backup.Lookup)
	w.server.Restore(*w.backup, a.N%2 == 0, oracle.Etcd)
	w.restored = true
	w.tellOfRestore()
	// Nobody puts back what is from the time that the restore has undone: rings count their changes, and two that have counted
	// to the same number cannot be told apart.
	clear(w.past)
	for _, r := range w.replicas {
		p := r.process
		if p == nil || !p.alive {
			continue
		}
		for _, s := range p.cache.streams {
			s.pending = nil
		}
		w.after(w.draw(r.name, time.Second, time.Minute), func() {
			if p.alive {
				p.cache.listAll()
			}
		})
	}
}

// tellOfRestore lets those who use a SigningKey hear which durations are in force again.
func (w *world) tellOfRestore() {
	for name, i := range w.issuers {
		i.wantedKeep, i.wantedLongest = 0, 0
		if key := w.signingKey(name); key != nil {
			i.keep = min(i.keep, lasting(key.Spec.Rotation.VerifierCacheDuration, time.Hour))
			i.longest = min(i.longest, spec.MaxDuration(key))
		}
	}
}
