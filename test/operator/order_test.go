package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
)

// Of the tokens of a revoked key those that expire first come first: they are the ones that verifiers are left without soonest.
func TestOfARevokedKeyTheTokensThatExpireFirstAreIssuedAnewFirst(t *testing.T) {
	w, ns := begin(t, func(o *app.Options, _ *rest.Config) { o.Workers = 1 }), suite.Namespace(t, nil)
	const tokens = 12
	var all []*v1alpha1.ServiceToken
	for i := range tokens {
		// In another order than that of their names.
		name := fmt.Sprintf("token-%02d", i*5%tokens)
		all = append(all, newToken(ns, name, "shop", func(s *v1alpha1.ServiceToken) {
			s.Spec.Duration = &metav1.Duration{Duration: life + time.Duration(i)*time.Minute}
		}))
	}
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, all)
	w.settled(1)
	w.op.requests.forget()
	w.revoke(ns, "shop")
	var got, want []string
	for _, t := range all {
		want = append(want, t.Name)
	}
	w.eventually("all are issued anew", func() error {
		if got = w.op.requests.tokensWritten(ns); len(got) < tokens {
			return fmt.Errorf("%d of %d are", len(got), tokens)
		}
		return nil
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// An operator that was away finds that many tokens are due. It renews them in the order in which they expire.
func TestAfterAnOutageTheTokensThatExpireFirstAreRenewedFirst(t *testing.T) {
	one := func(o *app.Options, _ *rest.Config) { o.Workers = 1 }
	w, ns := begin(t, one), suite.Namespace(t, nil)
	const tokens = 12
	var all []*v1alpha1.ServiceToken
	var want []string
	for i := range tokens {
		name := fmt.Sprintf("token-%02d", i*5%tokens)
		want = append(want, name)
		all = append(all, newToken(ns, name, "shop", func(s *v1alpha1.ServiceToken) {
			s.Spec.Duration = &metav1.Duration{Duration: life + time.Duration(i)*time.Minute}
		}))
	}
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, all)
	w.op.stop()
	w.op.clock.Step(life)
	w.op = startOperator(t, w.op.clock, one)
	var got []string
	w.eventually("all are renewed", func() error {
		if got = w.op.requests.tokensWritten(ns); len(got) < tokens {
			return fmt.Errorf("%d of %d are", len(got), tokens)
		}
		return nil
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// tokensWritten are the names of the Secrets with tokens that were changed, in order.
func (r *requests) tokensWritten(ns string) []string {
	var names []string
	for _, c := range r.writes() {
		if _, name, ok := strings.Cut(c.path, ns+"/secrets/token-"); ok {
			names = append(names, "token-"+name)
		}
	}
	return names
}
