package tokenrevocation

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

// store notes what it is told to revoke.
type store struct {
	told []string
	away error
}

func (s *store) RevokeAll(_ context.Context, of tokenstore.Selection, _ refresh.Reason, _ time.Time) (int, error) {
	if s.away == nil {
		s.told = append(s.told, of.IssuerUID+" client="+of.ClientID+" subject="+of.Subject+" before "+of.CreatedBefore.Format(time.TimeOnly))
	}
	return 0, s.away
}

// look is a pass over these TokenRevocations, as far as it concerns the store, and returns those that are not Ready then.
func look(t *testing.T, r *Reconciler, revocations ...denylist.Revoked) []string {
	t.Helper()
	w := &world{
		name: types.NamespacedName{Namespace: "bank", Name: "shop"}, untold: map[types.UID]error{},
		key:   &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "shop", UID: "key"}},
		parts: denylist.Gathered{Revocations: revocations},
	}
	w.plan = mustDecide(t, w.parts, r.Clock.Now())
	err := r.revokeFamilies(t.Context(), w)
	var failed []string
	for i, revocation := range revocations {
		problem := w.judge(i)
		if problem != nil {
			failed = append(failed, revocation.Object.Name)
			continue
		}
		reason, message := w.describe(i)(revocation.Object)
		kube.Condition(&revocation.Object.Status.Conditions, kube.True(v1alpha1.ConditionReady, reason, message, 1), r.Clock.Now())
	}
	if (err != nil) != (failed != nil) {
		t.Errorf("error %v, not Ready are %v", err, failed)
	}
	return failed
}

func TestRefreshTokensAreRevokedAtOnceAndBeforeTheRevocationIsOver(t *testing.T) {
	clk := clocktesting.NewFakePassiveClock(start())
	families := &store{}
	r := &Reconciler{Families: families, Clock: clk}
	all := []denylist.Revoked{
		revoked("alice", 0, v1alpha1.TokenRevocationSpec{Subject: "alice"}), revoked("web", 0, v1alpha1.TokenRevocationSpec{ClientID: "web"}),
		revoked("all", 0, v1alpha1.TokenRevocationSpec{IssuedBefore: &metav1.Time{Time: start()}}),
		revoked("token", 0, v1alpha1.TokenRevocationSpec{TokenID: "id"}), revoked("key", 0, v1alpha1.TokenRevocationSpec{KeyID: "k1"}),
	}
	want := []string{
		"key client= subject=alice before 12:00:01", "key client=web subject= before 12:00:01", "key client= subject= before 12:00:00",
	}
	mustTell := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, families.told); diff != "" {
			t.Errorf("%s, the store is told (-want +got):\n%s", when, diff)
		}
		families.told = nil
	}
	look(t, r, all...)
	mustTell("at first", want...)
	look(t, r, all...)
	mustTell("later")
	clk.SetTime(start().Add(2 * time.Hour))
	look(t, r, all...)
	mustTell("when they are over", want...)
	if reason := all[0].Object.Status.Conditions[0].Reason; reason != v1alpha1.ReasonExpired {
		t.Errorf("the reason is %s, want %s", reason, v1alpha1.ReasonExpired)
	}
	look(t, r, all...)
	mustTell("after that")
	look(t, &Reconciler{Families: families, Clock: clk}, all...)
	mustTell("after a restart")
}

func TestARevocationIsNotOverWhileTheStoreIsAway(t *testing.T) {
	clk := clocktesting.NewFakePassiveClock(start())
	families := &store{away: errors.New("no connection")}
	r := &Reconciler{Families: families, Clock: clk}
	all := []denylist.Revoked{
		revoked("alice", 0, v1alpha1.TokenRevocationSpec{Subject: "alice"}), revoked("token", 0, v1alpha1.TokenRevocationSpec{TokenID: "id"}),
	}
	for when, now := range map[string]time.Time{"at first": start(), "when it is over": start().Add(2 * time.Hour)} {
		clk.SetTime(now)
		if failed := look(t, r, all...); !slices.Equal(failed, []string{"alice"}) {
			t.Errorf("%s not Ready are %v, want alice", when, failed)
		}
	}
	families.away = nil
	if failed := look(t, r, all...); failed != nil || len(families.told) != 1 {
		t.Errorf("the store is there again: not Ready are %v, told %v", failed, families.told)
	}
}

func TestWithoutAStoreThereIsNothingToRevoke(t *testing.T) {
	r := &Reconciler{Clock: clocktesting.NewFakePassiveClock(start())}
	if failed := look(t, r, revoked("alice", 0, v1alpha1.TokenRevocationSpec{Subject: "alice"})); failed != nil {
		t.Errorf("not Ready are %v", failed)
	}
}
