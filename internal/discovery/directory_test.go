package discovery

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
)

// mustServe expects these keys, or that status.
func (r *replica) mustServe(when string, status int, want ...string) {
	r.t.Helper()
	ids, code := r.ids()
	if code != status || !cmp.Equal(want, ids) {
		r.t.Errorf("%s: status %d with keys %v, want %d with %v", when, code, ids, status, want)
	}
}

func (r *replica) isShort() bool {
	return strings.HasPrefix(r.get(path).Header().Get("Cache-Control"), "public, max-age=10,")
}

func TestARingIsServedThroughItsLife(t *testing.T) {
	r := newReplica(t)
	r.mustServe("before there is a SigningKey", http.StatusNotFound)
	r.write(r.key)
	r.mustServe("before it has a ring", http.StatusNotFound)
	r.turn()
	first := r.ring.IDs()[0]
	r.mustServe("before the status speaks of it", http.StatusOK, first)
	r.report()
	policy := spec.Operator{}.Policy(r.key)

	r.clock.SetTime(start().Add(policy.Period - policy.Lead()))
	r.turn()
	r.turn()
	next := r.ring.IDs()[0]
	r.mustServe("the next key is published beside it", http.StatusOK, next, first)
	tag := r.get(path).Header().Get("ETag")
	r.clock.SetTime(start().Add(policy.Period))
	r.turn()
	r.report()
	r.mustServe("the next key signs", http.StatusOK, next, first)
	if got := r.get(path).Header().Get("ETag"); got != tag {
		t.Error("the entity tag changes with the state of a key, which is not in the set")
	}
	r.clock.SetTime(start().Add(policy.Period + policy.LongestToken + policy.Margin()))
	r.turn()
	r.report()
	r.mustServe("the last token of the first has expired", http.StatusOK, next)
	if r.isShort() {
		t.Error("a settled ring gives short-lived answers")
	}
	r.remove(r.key)
	r.mustServe("the SigningKey is gone, its Secret not yet", http.StatusNotFound)
}

func TestARevokedKeyIsServedNoMoreFromTheMomentItIsNamed(t *testing.T) {
	r := begun(t)
	r.clock.SetTime(start().Add(719 * time.Hour))
	r.turn()
	r.report()
	next, first := r.ring.IDs()[0], r.ring.IDs()[1]
	r.key.Spec.RevokedKeyIDs = revokedID(first)
	r.write(r.key)
	r.mustServe("the controller has not acted yet", http.StatusOK, next)
	if !r.isShort() {
		t.Error("verifiers do not look again soon, although another key is about to sign at once")
	}
	algorithms := configurationOf(t, r.get(config))["id_token_signing_alg_values_supported"]
	if diff := cmp.Diff([]any{"ES256"}, algorithms); diff != "" {
		t.Errorf("algorithms (-want +got):\n%s", diff)
	}
	r.turn()
	r.report()
	r.mustServe("the controller has acted", http.StatusOK, next)
	if r.isShort() {
		t.Error("a settled ring gives short-lived answers")
	}
}

func TestAnEmptySetIsNeverServed(t *testing.T) {
	r := begun(t)
	only := r.ring.IDs()[0]
	r.key.Spec.RevokedKeyIDs = revokedID(only)
	r.write(r.key)
	r.mustServe("the only key is revoked", http.StatusServiceUnavailable)
	for _, asked := range []string{path, config} {
		response := r.get(asked)
		if response.Header().Get("Cache-Control") != "no-store" || response.Header().Get("Retry-After") != "1" {
			t.Errorf("headers of %s are %v", asked, response.Header())
		}
	}
	r.turn()
	r.mustServe("another signs", http.StatusOK, r.ring.IDs()...)
}

func TestALostRingLeavesWhatWasPublished(t *testing.T) {
	for sentence, loses := range map[string]func(r *replica){
		"the Secret is deleted": func(r *replica) { r.remove(r.secret()) },
		"the ring is corrupt": func(r *replica) {
			secret := r.secret()
			secret.Data["ring.json"] = []byte("{")
			r.write(secret)
		},
		"the Secret is somebody else's": func(r *replica) {
			secret := r.secret()
			secret.OwnerReferences[0].UID, secret.OwnerReferences[0].Name = "x", "x"
			r.write(secret)
		},
		"the ring is an older one": func(r *replica) {
			backup := r.secret()
			r.key.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: "now"}
			r.turn()
			r.report()
			r.write(backup)
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := begun(t)
			loses(r)
			want := r.ring.IDs()
			r.mustServe("from memory", http.StatusOK, want...)
			if !r.isShort() {
				t.Error("verifiers do not look again soon, although a fresh key is about to sign at once")
			}
			r.copied(r.ring.Public())
			r.restart(r.cache)
			r.mustServe("after a restart, from the ConfigMap", http.StatusOK, want...)
			r.key.Spec.RevokedKeyIDs = revokedID(want[len(want)-1])
			r.write(r.key)
			if ids, _ := r.ids(); len(ids) != len(want)-1 {
				t.Errorf("served are %v although %s is revoked", ids, r.key.Spec.RevokedKeyIDs)
			}
		})
	}
}

func TestWhatNobodyVouchesForIsNeverServed(t *testing.T) {
	planted, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for sentence, c := range map[string]struct {
		status int
		plant  func(r *replica)
	}{
		"in the ConfigMap, beside a whole ring": {http.StatusOK, func(r *replica) {
			r.copied(jose.NewKeySet(planted.Public()))
		}},
		"in the ConfigMap, and the ring is lost": {http.StatusOK, func(r *replica) {
			r.copied(jose.NewKeySet(planted.Public()))
			r.remove(r.secret())
		}},
		"in the ConfigMap, the ring is lost and the replica new": {http.StatusServiceUnavailable, func(r *replica) {
			r.copied(jose.NewKeySet(planted.Public()))
			r.remove(r.secret())
			r.restart(r.cache)
		}},
		"in the ConfigMap of a SigningKey that never had a ring": {http.StatusNotFound, func(r *replica) {
			r.remove(r.secret())
			r.key.Status, r.key.UID = v1alpha1.SigningKeyStatus{}, "another"
			r.remove(r.key)
			r.write(r.key)
			r.copied(jose.NewKeySet(planted.Public()))
		}},
		"of an earlier SigningKey of that name": {http.StatusNotFound, func(r *replica) {
			r.remove(r.secret())
			r.key.Status, r.key.UID = v1alpha1.SigningKeyStatus{}, "another"
			r.write(r.key)
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := begun(t)
			own := r.ring.IDs()[0]
			c.plant(r)
			ids, status := r.ids()
			if status != c.status || status == http.StatusOK && !cmp.Equal([]string{own}, ids) {
				t.Errorf("status %d with keys %v, want %d and none but %s", status, ids, c.status, own)
			}
		})
	}
}

func TestIssuersOfEveryKind(t *testing.T) {
	for sentence, c := range map[string]struct {
		issuer, wantURI string
	}{
		"on a host of its own":    {"https://orders.example", external + "/bank/main/jwks.json"},
		"a name that is no URL":   {"orders", ""},
		"a URI that is not https": {"urn:example:orders", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := begun(t, func(k *v1alpha1.SigningKey) { k.Spec.Issuer = c.issuer })
			r.mustServe("the JWKS", http.StatusOK, r.ring.IDs()...)
			response := r.get(config)
			if c.wantURI == "" {
				if response.Code != http.StatusNotFound || !strings.Contains(response.Body.String(), "is no https URL") {
					t.Errorf("status %d: %s", response.Code, response.Body)
				}
				return
			}
			members := configurationOf(t, response)
			if members["issuer"] != c.issuer || members["jwks_uri"] != c.wantURI {
				t.Errorf("issuer %v and jwks_uri %v, want %s and %s", members["issuer"], members["jwks_uri"], c.issuer, c.wantURI)
			}
		})
	}
}

func TestAnIssuerWhosePathsAreTheGatesNamesNoEndpoints(t *testing.T) {
	r := begun(t, func(k *v1alpha1.SigningKey) { k.Namespace = "verify" })
	members := configurationOf(t, r.get("/verify/main/.well-known/openid-configuration"))
	if members["jwks_uri"] != external+"/verify/main/jwks.json" {
		t.Errorf("jwks_uri %v", members["jwks_uri"])
	}
	for name := range members {
		if strings.HasSuffix(name, "_endpoint") {
			t.Errorf("%s is %v", name, members[name])
		}
	}
}

func TestKeysStayPublishedWhenTheOperatorLosesItsExternalURL(t *testing.T) {
	r := begun(t)
	r.directory.operator.ExternalURL = ""
	r.write(r.key)
	r.mustServe("the JWKS", http.StatusOK, r.ring.IDs()...)
	if response := r.get(config); response.Code != http.StatusNotFound {
		t.Errorf("status %d: %s", response.Code, response.Body)
	}
}

func TestObjectsThatConcernNoPublishedKeyAreNotHeeded(t *testing.T) {
	r := newReplica(t)
	token := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "token", Labels: r.labels()}, Type: v1alpha1.SecretTypeToken}
	elsewhere := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "far", Name: "main-jwks", Labels: r.labels()}}
	for _, object := range []any{token, elsewhere, &corev1.ConfigMap{}, &corev1.Namespace{}, "nonsense"} {
		if name, concerned := concerns(object); concerned {
			t.Errorf("%T concerns %s", object, name)
		}
	}
}

func TestADeletionThatWasMissedIsHeeded(t *testing.T) {
	r := begun(t)
	r.must(r.cache.Delete(t.Context(), r.key))
	r.directory.heed(t.Context(), toolscache.DeletedFinalStateUnknown{Key: "bank/main", Obj: r.key})
	r.mustServe("gone", http.StatusNotFound)
	if r.directory.lookup(named("main")) != nil {
		t.Error("the keys of a SigningKey that is gone are remembered")
	}
}
