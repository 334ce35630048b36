package operator

import (
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// within is the same world for a part of a test.
func (v *verifier) within(t *testing.T) *verifier {
	w, part := *v.w, *v
	w.t, part.w = t, &w
	return &part
}

// revokedTogether is what a TokenRevocation takes back of what two clients have.
type revokedTogether struct {
	what func(ns string, stolen reply) v1alpha1.TokenRevocationSpec
	// stolen and its refresh token are the first client's, another is another token of it, and others are the second client's.
	another, others bool
	// families says that refresh tokens go with the access tokens.
	families bool
}

// The clock stands still until all is refused.
func TestWhatIsRevokedIsRefusedEverywhereInTheSameSecond(t *testing.T) {
	_, v := beginServing(t, keeping(inFile(t)))
	for sentence, c := range map[string]revokedTogether{
		"one token": {what: func(_ string, stolen reply) v1alpha1.TokenRevocationSpec {
			return v1alpha1.TokenRevocationSpec{TokenID: idOf(t, stolen.Access)}
		}},
		"a subject": {what: func(ns string, _ reply) v1alpha1.TokenRevocationSpec {
			return v1alpha1.TokenRevocationSpec{Subject: "system:tokenclient:" + ns + ":cart"}
		}, another: true, families: true},
		"a client": {what: func(ns string, _ reply) v1alpha1.TokenRevocationSpec {
			return v1alpha1.TokenRevocationSpec{ClientID: ns + ".cart"}
		}, another: true, families: true},
		"what a key has signed": {what: func(_ string, stolen reply) v1alpha1.TokenRevocationSpec {
			_, _, keyID := timesOf(t, stolen.Access)
			return v1alpha1.TokenRevocationSpec{KeyID: v1alpha1.KeyID(keyID)}
		}, another: true, others: true},
		"everything until an instant": {what: func(string, reply) v1alpha1.TokenRevocationSpec {
			return v1alpha1.TokenRevocationSpec{}
		}, another: true, others: true, families: true},
	} {
		t.Run(sentence, func(t *testing.T) { v.within(t).revokes(c) })
	}
}

func (v *verifier) revokes(c revokedTogether) {
	w, ns := v.w, suite.Namespace(v.w.t, nil)
	w.t.Helper()
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	v.protects(ns)
	cart, till := v.calls(newClient(ns, "cart", "shop", refreshing)), v.calls(newClient(ns, "till", "shop", refreshing))
	stolen, another, others := cart.asked(), cart.asked(), till.asked()
	for _, got := range []reply{stolen, another, others} {
		w.must(cart.isLetIn(got.Access, http.StatusOK), w.admits(ns, got.Access))
	}

	what, before := c.what(ns, stolen), &metav1.Time{Time: w.now().Add(time.Second)}
	if what.TokenID == "" {
		what.IssuedBefore = before
	}
	w.create(newRevocation(ns, "revoked", "shop", what))
	cart.refuses(stolen, true)
	cart.refuses(another, c.another)
	cart.refuses(others, c.others)
	if c.families {
		w.must(cart.refresh(stolen.Refresh).refused(), cart.refresh(another.Refresh).refused())
	}

	// What is issued from then on is good.
	w.reaches(before)
	if !c.families {
		w.must(cart.refresh(stolen.Refresh).granted(), cart.refresh(another.Refresh).granted())
	}
	if fresh := till.refresh(others.Refresh); c.families && c.others {
		w.must(fresh.refused())
	} else {
		w.must(fresh.granted())
	}
	cart.refuses(cart.asked(), false)
	cart.refuses(till.asked(), false)
}

// refuses waits until the gate, introspection and admission refuse a token; or shows that they do not.
func (c caller) refuses(got reply, revoked bool) {
	c.w.t.Helper()
	if !revoked {
		c.w.must(c.isLetIn(got.Access, http.StatusOK), c.w.admits(c.ns, got.Access))
	} else {
		c.w.eventually("the gate refuses the token", func() error { return c.isLetIn(got.Access, http.StatusUnauthorized) })
		c.w.refuses(c.ns, got.Access)
	}
	if told := c.introspect(got.Access); told.granted() != nil || told.Active == revoked {
		c.w.t.Errorf("introspection has status %d, active is %t", told.status, told.Active)
	}
}
