package operator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// newRevocation can be deleted at any time.
func newRevocation(ns, name, key string, what v1alpha1.TokenRevocationSpec) *v1alpha1.TokenRevocation {
	what.SigningKeyName = key
	return &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Annotations: map[string]string{v1alpha1.AnnotationForceDelete: "true"}},
		Spec:       what,
	}
}

func (w *world) revocation(ns, name string) *v1alpha1.TokenRevocation {
	w.t.Helper()
	revocation, err := read(w, client.ObjectKey{Namespace: ns, Name: name}, &v1alpha1.TokenRevocation{})
	w.must(err)
	return revocation
}

func (w *world) revocationIs(ns, name string, status metav1.ConditionStatus, reason string) *v1alpha1.TokenRevocation {
	w.t.Helper()
	w.eventually("TokenRevocation "+name, func() error {
		r := w.revocation(ns, name)
		return conditionIs(r, r.Status.Conditions, v1alpha1.ConditionReady, status, reason)
	})
	return w.revocation(ns, name)
}

// lists returns nil if a deny list says exactly this, each as member=value.
func lists(document string, want ...string) error {
	var list struct {
		Version     int                          `json:"version"`
		Revocations []map[string]json.RawMessage `json:"revocations"`
	}
	if err := json.Unmarshal([]byte(document), &list); err != nil || list.Version != 1 {
		return fmt.Errorf("no deny list: %q", document)
	}
	var got []string
	for _, r := range list.Revocations {
		said := "all"
		for _, name := range []string{"jti", "sub", "client_id", "kid"} {
			if value, ok := r[name]; ok {
				said = name + "=" + strings.Trim(string(value), `"`)
			}
		}
		got = append(got, said)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("it says %v, want %v", got, want)
	}
	return nil
}

func (w *world) publishesList(ns, key string, want ...string) {
	w.t.Helper()
	w.eventually("the deny list of "+key, func() error {
		cm, err := read(w, client.ObjectKey{Namespace: ns, Name: key + "-revocations"}, &corev1.ConfigMap{})
		if err != nil {
			return err
		}
		return lists(cm.Data[v1alpha1.ConfigMapKeyRevocations], want...)
	})
}

// admits tries to put a token into a Secret.
func (w *world) admits(ns, compact string) error {
	return w.c.Create(w.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "copy"}, Type: v1alpha1.SecretTypeToken, Data: map[string][]byte{"token": []byte(compact)},
	}, client.DryRunAll)
}

func (w *world) refuses(ns, compact string) {
	w.t.Helper()
	w.eventually("admission refuses the token", func() error {
		if err := w.admits(ns, compact); err == nil || !strings.Contains(err.Error(), "was revoked by a TokenRevocation") {
			return fmt.Errorf("it does not: %w", err)
		}
		return nil
	})
}

func (w *world) compact(ns, name string) string { return string(w.secret(ns, name).Data["token"]) }

// reaches lets the operator's clock come to an instant that the API server's has said.
func (w *world) reaches(instant *metav1.Time) {
	w.t.Helper()
	w.step(max(instant.Sub(w.now()), 0))
}

func TestARevokedTokenIsRefusedPublishedAndIssuedAnew(t *testing.T) {
	w, v := beginServing(t)
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop"), newToken(ns, "till", "shop")})
	w.publishesList(ns, "shop")
	bad, other := w.compact(ns, "cart"), w.compact(ns, "till")
	w.must(w.admits(ns, bad))
	id := w.token(ns, "cart").Status.TokenID

	w.create(newRevocation(ns, "stolen", "shop", v1alpha1.TokenRevocationSpec{TokenID: id}))
	w.refuses(ns, bad)
	revoked := w.revocationIs(ns, "stolen", metav1.ConditionTrue, v1alpha1.ReasonRevoked)
	w.publishesList(ns, "shop", "jti="+id)
	w.must(lists(v.fetch("/"+ns+"/shop/revocations.json").body, "jti="+id))
	w.eventually("an event", func() error { return w.hasEvent(ns, v1alpha1.ReasonRevoked, "stolen", "taken back") })
	w.eventually("the token is issued anew", func() error {
		if compact := w.compact(ns, "cart"); compact == bad || w.token(ns, "cart").Status.TokenID == id {
			return fmt.Errorf("it is the same")
		}
		return nil
	})
	w.must(w.verifies(ns, "cart", "shop"), w.admits(ns, w.compact(ns, "cart")))
	if w.compact(ns, "till") != other {
		t.Error("another token was issued anew too")
	}

	want := revoked.CreationTimestamp.Add(time.Second + longestToken + 2*skew + staleness)
	if revoked.Status.IssuedBefore != nil || revoked.Status.ExpiresAt == nil || !revoked.Status.ExpiresAt.Time.Equal(want) {
		t.Errorf("the status says before %v until %v, want no instant until %v", revoked.Status.IssuedBefore, revoked.Status.ExpiresAt, want)
	}
	w.reaches(revoked.Status.ExpiresAt)
	w.revocationIs(ns, "stolen", metav1.ConditionTrue, v1alpha1.ReasonExpired)
	w.publishesList(ns, "shop")
	w.must(lists(v.fetch("/" + ns + "/shop/revocations.json").body))
}

func TestWhatASubjectGetsAfterItsRevocationIsGood(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop"), newToken(ns, "till", "shop")})
	bad, other := w.compact(ns, "cart"), w.compact(ns, "till")
	subject := "system:serviceaccount:" + ns + ":cart"
	w.create(newRevocation(ns, "cart", "shop", v1alpha1.TokenRevocationSpec{Subject: subject}))
	w.refuses(ns, bad)
	w.publishesList(ns, "shop", "sub="+subject)
	before := w.revocationIs(ns, "cart", metav1.ConditionTrue, v1alpha1.ReasonRevoked).Status.IssuedBefore
	w.reaches(before)
	w.eventually("the token is issued anew", func() error {
		if status := w.token(ns, "cart").Status; status.IssuedAt == nil || status.IssuedAt.Before(before) {
			return fmt.Errorf("it was issued at %v, revoked is what was before %v", status.IssuedAt, before)
		}
		return nil
	})
	w.must(w.verifies(ns, "cart", "shop"), w.admits(ns, w.compact(ns, "cart")))
	if w.compact(ns, "till") != other {
		t.Error("that of another subject was issued anew too")
	}
	w.op.requests.forget()
	w.look()
	w.settled(0)
	if writes := w.op.requests.writes(); len(writes) > 0 {
		t.Errorf("a revocation that is settled costs %v", writes)
	}
}

func TestEverythingOfAnIssuerIsTakenBack(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop"), newKey(ns, "other")}, []*v1alpha1.ServiceToken{
		newToken(ns, "cart", "shop"), newToken(ns, "till", "shop"), newToken(ns, "desk", "other"),
	})
	bad := []string{w.compact(ns, "cart"), w.compact(ns, "till")}
	good := w.compact(ns, "desk")
	w.step(time.Second)
	before := &metav1.Time{Time: w.now()}
	w.create(newRevocation(ns, "all", "shop", v1alpha1.TokenRevocationSpec{IssuedBefore: before}))
	w.refuses(ns, bad[0])
	w.refuses(ns, bad[1])
	w.must(w.admits(ns, good))
	w.publishesList(ns, "shop", "all")
	w.publishesList(ns, "other")
	for i, name := range []string{"cart", "till"} {
		w.eventually(name+" is issued anew", func() error {
			if w.compact(ns, name) == bad[i] {
				return fmt.Errorf("it is the same")
			}
			return w.admits(ns, w.compact(ns, name))
		})
	}
}

func TestARestartedOperatorWritesNothingForRevocations(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	const revocations = 20
	for i := range revocations {
		w.create(newRevocation(ns, fmt.Sprint("r", i), "shop", v1alpha1.TokenRevocationSpec{TokenID: fmt.Sprint("id-", i)}))
	}
	w.create(newRevocation(ns, "orphan", "nobody", v1alpha1.TokenRevocationSpec{TokenID: "id"}))
	w.revocationIs(ns, "orphan", metav1.ConditionFalse, v1alpha1.ReasonSigningKeyNotFound)
	for i := range revocations {
		w.revocationIs(ns, fmt.Sprint("r", i), metav1.ConditionTrue, v1alpha1.ReasonRevoked)
	}
	w.op.stop()

	w.op = startOperator(t, w.op.clock)
	w.eventually("the webhook answers", func() error { return w.c.Create(t.Context(), newKey(ns, "probe"), client.DryRunAll) })
	w.look()
	w.settled(3)
	if writes := w.op.requests.writes(); len(writes) > 0 {
		t.Errorf("the restarted operator wrote %d times, first %s", len(writes), writes[0])
	}
	w.create(newKey(ns, "nobody"))
	w.revocationIs(ns, "orphan", metav1.ConditionTrue, v1alpha1.ReasonRevoked)
	w.publishesList(ns, "nobody", "jti=id")
}

func TestARevocationThatIsDeletedCountsNoMore(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	compact, id := w.compact(ns, "cart"), w.token(ns, "cart").Status.TokenID
	w.create(
		newRevocation(ns, "a", "shop", v1alpha1.TokenRevocationSpec{TokenID: id}),
		newRevocation(ns, "b", "shop", v1alpha1.TokenRevocationSpec{ClientID: "web"}),
	)
	w.refuses(ns, compact)
	w.publishesList(ns, "shop", "jti="+id, "client_id=web")
	w.must(w.c.Delete(t.Context(), w.revocation(ns, "a")))
	w.publishesList(ns, "shop", "client_id=web")
	w.eventually("admission lets the token in", func() error { return w.admits(ns, compact) })
	if !w.op.requests.has("GET", "/namespaces/"+ns+"/tokenrevocations") {
		t.Error("something was taken off the list without a word of the API server")
	}
}

func TestARevokedKeyIsOnTheDenyList(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	bad := w.revoke(ns, "shop")
	w.publishesList(ns, "shop", "kid="+bad)
	var until *metav1.Time
	for _, k := range w.key(ns, "shop").Status.Keys {
		if k.ID == bad {
			until = k.RemoveAfter
		}
	}
	w.reaches(until)
	w.publishesList(ns, "shop")
}

func TestASigningKeyThatIsAppliedAnewStartsWithGoodTokens(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	before := &metav1.Time{Time: w.now()}
	w.create(newRevocation(ns, "all", "shop", v1alpha1.TokenRevocationSpec{IssuedBefore: before}))
	w.revocationIs(ns, "all", metav1.ConditionTrue, v1alpha1.ReasonRevoked)
	w.must(w.c.Delete(t.Context(), w.key(ns, "shop")))
	w.revocationIs(ns, "all", metav1.ConditionFalse, v1alpha1.ReasonSigningKeyNotFound)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	w.revocationIs(ns, "all", metav1.ConditionTrue, v1alpha1.ReasonRevoked)
	w.must(w.admits(ns, w.compact(ns, "cart")))
	w.eventually("the new SigningKey owns the list", func() error {
		if owners := w.configMap(ns, "shop-revocations").OwnerReferences; len(owners) == 0 || owners[0].UID != w.key(ns, "shop").UID {
			return fmt.Errorf("owners are %v", owners)
		}
		return nil
	})
}

func TestAForeignConfigMapInThePlaceOfTheDenyListStays(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "shop-revocations"}, Data: map[string]string{"mine": "yes"}}
	w.create(foreign)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	compact, id := w.compact(ns, "cart"), w.token(ns, "cart").Status.TokenID
	w.create(newRevocation(ns, "stolen", "shop", v1alpha1.TokenRevocationSpec{TokenID: id}))
	w.refuses(ns, compact)
	w.revocationIs(ns, "stolen", metav1.ConditionFalse, v1alpha1.ReasonConfigMapConflict)
	if now := w.configMap(ns, "shop-revocations"); now.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the ConfigMap was changed to %v", now)
	}
	w.must(w.c.Delete(t.Context(), foreign))
	w.look()
	w.revocationIs(ns, "stolen", metav1.ConditionTrue, v1alpha1.ReasonRevoked)
	w.publishesList(ns, "shop", "jti="+id)
}

func TestADenyListIsNotWrittenOverTheJWKS(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop", func(k *v1alpha1.SigningKey) { k.Spec.JWKS.Name = "shop-revocations" })}, nil)
	w.create(newRevocation(ns, "stolen", "shop", v1alpha1.TokenRevocationSpec{TokenID: "id"}))
	w.revocationIs(ns, "stolen", metav1.ConditionFalse, v1alpha1.ReasonConfigMapConflict)
	if data := w.configMap(ns, "shop-revocations").Data; len(data) != 2 || data["jwks.json"] == "" {
		t.Errorf("the JWKS ConfigMap holds %v", data)
	}
}

func TestADenyListThatSomebodyChangesIsMended(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	w.create(newRevocation(ns, "stolen", "shop", v1alpha1.TokenRevocationSpec{TokenID: "id"}))
	for _, document := range []string{
		`{"version":1,"issuer":"x","revocations":[]}`, `{"version":1,"issuer":"x","revocations":[{"jti":"id"},{"jti":"more"}]}`, "{",
	} {
		w.publishesList(ns, "shop", "jti=id")
		list := w.configMap(ns, "shop-revocations")
		w.patch(list, func() { list.Data[v1alpha1.ConfigMapKeyRevocations] = document })
	}
	w.publishesList(ns, "shop", "jti=id")
	w.must(w.c.Delete(t.Context(), w.configMap(ns, "shop-revocations")))
	w.publishesList(ns, "shop", "jti=id")
}

// A leader is frozen while it writes the list. Another takes over, and a token is revoked. Then the first one goes on.
func TestADeposedLeaderNeverTakesARevocationBack(t *testing.T) {
	ns := suite.Namespace(t, nil)
	g := newGate(in(ns, "PATCH configmaps/shop-revocations"))
	g.arm()
	w := begin(t, g.between)
	w.create(newKey(ns, "shop"))
	w.eventually("the leader is frozen", g.isHeld)
	w.takeOver(1)
	w.publishesList(ns, "shop")
	w.create(newRevocation(ns, "stolen", "shop", v1alpha1.TokenRevocationSpec{TokenID: "id"}))
	w.publishesList(ns, "shop", "jti=id")
	list := w.follow(w.configMap(ns, "shop-revocations"), &corev1.ConfigMapList{})
	if answer := w.letGo(g); answer != 409 {
		t.Errorf("the API server answers %d, want 409", answer)
	}
	list.never(func(o client.Object) error {
		return lists(o.(*corev1.ConfigMap).Data[v1alpha1.ConfigMapKeyRevocations], "jti=id")
	})
}
