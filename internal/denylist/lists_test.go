package denylist_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	domain "github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/pkg/verify"
	"github.com/keyturn/keyturn/test/controlplane"
)

func start() time.Time { return time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC) }

func main() types.NamespacedName { return types.NamespacedName{Namespace: "bank", Name: "main"} }

// replica is Lists that are told of each object that the test writes.
type replica struct {
	t     *testing.T
	cache client.WithWatch
	clock *clocktesting.FakePassiveClock
	lists *denylist.Lists
	lost  atomic.Bool // the cache cannot be read
	read  atomic.Int64
}

func newReplica(t *testing.T) *replica {
	t.Helper()
	r := &replica{t: t, clock: clocktesting.NewFakePassiveClock(start())}
	builder := fake.NewClientBuilder().WithScheme(controlplane.Scheme()).
		WithIndex(&v1alpha1.TokenRevocation{}, spec.IndexSigningKey, spec.SigningKeyIndex).
		WithInterceptorFuncs(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			r.read.Add(1)
			if r.lost.Load() {
				return errors.New("the cache is not filled")
			}
			return c.List(ctx, list, options...)
		}})
	r.cache = builder.Build()
	rings := ringstore.New(r.cache, r.cache, r.clock, 5*time.Minute)
	r.lists = denylist.New(r.cache, rings, spec.Operator{SignerStaleness: 5 * time.Minute}, r.clock)
	return r
}

func (r *replica) must(errs ...error) {
	r.t.Helper()
	for _, err := range errs {
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *replica) write(object client.Object) {
	r.t.Helper()
	r.must(r.cache.Create(r.t.Context(), object))
	r.lists.Heed(object)
}

func (r *replica) remove(object client.Object) {
	r.t.Helper()
	r.must(r.cache.Delete(r.t.Context(), object))
	r.lists.Heed(object)
}

func newKey(change ...func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main", UID: "owner"},
		Spec:       v1alpha1.SigningKeySpec{Issuer: "https://bank.example", Tokens: v1alpha1.TokensSpec{MaxDuration: &metav1.Duration{Duration: time.Hour}}},
	}
	for _, f := range change {
		f(key)
	}
	return key
}

func revocation(name string, what v1alpha1.TokenRevocationSpec) *v1alpha1.TokenRevocation {
	what.SigningKeyName = "main"
	return &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: name, CreationTimestamp: metav1.Time{Time: start()}},
		Spec:       what,
	}
}

func alice() domain.Token { return domain.Token{ID: "one", Subject: "alice", IssuedAt: start()} }

func (r *replica) mustDeny(when string, token domain.Token, want bool) {
	r.t.Helper()
	list, err := r.lists.Of(r.t.Context(), main())
	r.must(err)
	if _, denied := list.Denies(token); denied != want {
		r.t.Errorf("%s: denied %v, want %v", when, denied, want)
	}
}

func TestARevocationCountsFromTheMomentItIsSeen(t *testing.T) {
	r := newReplica(t)
	r.mustDeny("there is no SigningKey", alice(), false)
	r.write(newKey())
	r.mustDeny("nothing is revoked", alice(), false)
	of := revocation("alice", v1alpha1.TokenRevocationSpec{Subject: "alice"})
	r.write(of)
	r.mustDeny("it is revoked", alice(), true)
	later := alice()
	later.IssuedAt = start().Add(time.Second)
	r.mustDeny("issued a second later", later, false)
	r.write(revocation("two", v1alpha1.TokenRevocationSpec{TokenID: "two"}))
	later.ID = "two"
	r.mustDeny("revoked by ID", later, true)
	r.remove(of)
	r.mustDeny("the revocation is deleted", alice(), false)
	r.mustDeny("the other stays", later, true)
}

func TestARevocationOfAnotherKeyCountsForNothingHere(t *testing.T) {
	r := newReplica(t)
	r.write(newKey())
	other := revocation("alice", v1alpha1.TokenRevocationSpec{Subject: "alice"})
	other.Spec.SigningKeyName = "other"
	r.write(other)
	elsewhere := revocation("alice", v1alpha1.TokenRevocationSpec{Subject: "alice"})
	elsewhere.Namespace = "far"
	r.write(elsewhere)
	r.mustDeny("revoked elsewhere", alice(), false)
}

func TestARevocationIsOverWhenTheLastTokenHasExpired(t *testing.T) {
	r := newReplica(t)
	r.write(newKey())
	r.write(revocation("alice", v1alpha1.TokenRevocationSpec{Subject: "alice"}))
	life := time.Hour + 2*time.Minute + 5*time.Minute // the longest token, both skews, the slowest signer
	r.clock.SetTime(start().Add(life))
	r.mustDeny("the last has not expired", alice(), true)
	r.clock.SetTime(start().Add(life + time.Second))
	r.mustDeny("the last has expired", alice(), false)
}

// ring is the Secret of a ring that has lived under longer tokens than the policy has now, and whose first key is revoked.
func ring(t *testing.T, key *v1alpha1.SigningKey) (*corev1.Secret, string) {
	t.Helper()
	before := key.DeepCopy()
	before.Spec.Tokens.MaxDuration.Duration = 6 * time.Hour
	minter, rings := &keyring.Minter{}, keyring.Keyring{}
	var first string
	for range 2 {
		policy := spec.Operator{SignerStaleness: 5 * time.Minute}.Policy(before)
		if ids := rings.IDs(); len(ids) > 0 {
			first = ids[0]
			policy.Revoked = ids
		}
		outcome, err := rings.Ring().Advance(policy, rotation.Observation{}, start(), minter.Mint)
		if err == nil {
			rings, err = rings.With(outcome.Ring, minter, jose.KeySet{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	data, err := rings.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "bank", Name: "main-signing-key",
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelSigningKey: "main", v1alpha1.LabelSigningKeyNamespace: "bank",
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(key, v1alpha1.GroupVersion.WithKind("SigningKey"))},
		},
		Type: v1alpha1.SecretTypeSigningKey, Data: data,
	}, first
}

func TestARevocationLastsAsLongAsTheRingHasPromisedTokens(t *testing.T) {
	r := newReplica(t)
	key := newKey()
	r.write(key)
	r.write(revocation("alice", v1alpha1.TokenRevocationSpec{Subject: "alice"}))
	r.mustDeny("by the policy", alice(), true)
	secret, _ := ring(t, key)
	r.write(secret)
	r.clock.SetTime(start().Add(6*time.Hour + 7*time.Minute))
	r.mustDeny("maxDuration was 6h before", alice(), true)
	r.clock.SetTime(start().Add(6*time.Hour + 7*time.Minute + time.Second))
	r.mustDeny("the last of them has expired", alice(), false)
}

func TestRevokedKeysAreDeniedToo(t *testing.T) {
	r := newReplica(t)
	key := newKey()
	secret, id := ring(t, key)
	r.write(key)
	r.mustDeny("no key is revoked", domain.Token{KeyID: id, IssuedAt: start()}, false)
	r.write(secret)
	r.mustDeny("the ring denies it", domain.Token{KeyID: id, IssuedAt: start().Add(time.Hour)}, true)
	r.clock.SetTime(start().Add(6*time.Hour + 7*time.Minute))
	r.mustDeny("its last token has expired", domain.Token{KeyID: id, IssuedAt: start().Add(time.Hour)}, false)

	current, err := keyring.Decode(secret.Data)
	r.must(err)
	key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(current.IDs()[0]), "unknown"}
	r.must(r.cache.Update(t.Context(), key))
	r.lists.Heed(key)
	r.mustDeny("named, and the ring does not know it yet", domain.Token{KeyID: current.IDs()[0]}, true)
	r.mustDeny("named, and in no ring", domain.Token{KeyID: "unknown"}, false)
}

func TestASigningKeyThatIsCreatedAnewInheritsNoRevokedKey(t *testing.T) {
	r := newReplica(t)
	key := newKey()
	secret, id := ring(t, key)
	r.write(key)
	r.write(secret)
	r.mustDeny("the ring denies it", domain.Token{KeyID: id}, true)
	r.remove(key)
	r.mustDeny("it is gone", domain.Token{KeyID: id}, false)
	r.remove(secret)
	r.write(newKey(func(k *v1alpha1.SigningKey) { k.UID = "another" }))
	r.mustDeny("another has its name", domain.Token{KeyID: id}, false)
}

func TestNobodyIsToldWhatNobodyKnows(t *testing.T) {
	r := newReplica(t)
	r.write(newKey())
	r.lost.Store(true)
	if list, err := r.lists.Of(t.Context(), main()); err == nil {
		t.Errorf("a list of %d entries although the TokenRevocations cannot be read", list.Len())
	}
	if denied, err := r.lists.Denies(main())(t.Context(), &verify.Token{Subject: "alice"}); denied || err == nil {
		t.Errorf("denied %v, error %v: want an error", denied, err)
	}
	r.lost.Store(false)
	r.write(revocation("alice", v1alpha1.TokenRevocationSpec{Subject: "alice"}))
	if denied, err := r.lists.Denies(main())(t.Context(), &verify.Token{Subject: "alice", IssuedAt: start()}); !denied || err != nil {
		t.Errorf("denied %v, error %v: want it denied", denied, err)
	}
}

func TestAListIsCompiledOnceForEachChange(t *testing.T) {
	r := newReplica(t)
	r.write(newKey())
	for i := range 100 {
		r.write(revocation(fmt.Sprint("r", i), v1alpha1.TokenRevocationSpec{TokenID: fmt.Sprint(i)}))
	}
	r.read.Store(0)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				r.mustDeny("one of a hundred", domain.Token{ID: "42"}, true)
			}
		})
	}
	all.Wait()
	if n := r.read.Load(); n != 1 {
		t.Errorf("the TokenRevocations were listed %d times, want once", n)
	}
}

func TestTheDocumentIsTheWholeListUnderItsTag(t *testing.T) {
	r := newReplica(t)
	none, err := r.lists.Document(t.Context(), main())
	if r.must(err); none.Content != nil {
		t.Errorf("there is no SigningKey, and its list is %s", none.Content)
	}
	r.write(newKey())
	empty, err := r.lists.Document(t.Context(), main())
	r.must(err)
	r.write(revocation("alice", v1alpha1.TokenRevocationSpec{Subject: "alice"}))
	got, err := r.lists.Document(t.Context(), main())
	r.must(err)
	if got.Tag == empty.Tag {
		t.Error("two documents have one tag")
	}
	var read any
	r.must(json.Unmarshal(got.Content, &read))
	want := map[string]any{"version": 1.0, "issuer": "https://bank.example", "revocations": []any{map[string]any{
		"sub": "alice", "issuedBefore": float64(start().Unix() + 1), "until": float64(start().Unix() + 1 + 3600 + 420),
	}}}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}
