package webhook_test

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

// beginIn is begin for an operator that watches some namespaces.
func beginIn(t *testing.T, watched []string, objects ...client.Object) *admitter {
	t.Helper()
	watcher := operator()
	watcher.WatchedNamespaces = watched
	both := cluster(objects...)
	return serveFor(t, watcher, both, both)
}

func TestWhatIsNotWatchedIsNotJudged(t *testing.T) {
	key := signingKey("bank", "main")
	faulty := serviceToken("shop", "till", key, living(time.Second))
	a := beginIn(t, []string{"bank"}, key, namespace("bank", nil), namespace("shop", nil))
	const warning = "the Keyturn operator that was asked does not watch namespace shop (--watch-namespaces)"
	a.check(request{path: webhook.PathServiceToken, new: faulty}, "", warning)
	a.check(request{path: webhook.PathServiceToken, old: faulty, new: serviceToken("shop", "till", key)}, "", warning)
	a.check(request{path: webhook.PathSigningKey, old: signingKey("shop", "main")}, "", warning)
	a.check(request{path: webhook.PathServiceToken, new: serviceToken("bank", "till", key, living(time.Second))}, "spec.duration: Invalid value")
}

func TestAKeyThatIsNotWatchedSignsNothing(t *testing.T) {
	key := signingKey("bank", "main")
	a := beginIn(t, []string{"shop"}, key, namespace("bank", nil), namespace("shop", nil))
	a.check(request{path: webhook.PathServiceToken, new: serviceToken("shop", "till", key)}, "",
		"spec.signingKeyRef: the operator does not watch namespace bank (--watch-namespaces), so nothing is issued")
}

func TestASelectorThatReachesFartherThanTheOperatorIsAWarning(t *testing.T) {
	marked := map[string]string{"jwks": "here"}
	selecting := func(k *v1alpha1.SigningKey) { k.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: marked} }
	key, plain := signingKey("bank", "main", selecting), signingKey("bank", "main")
	a := beginIn(t, []string{"bank", "shop"}, namespace("bank", nil), namespace("shop", marked), namespace("b", marked), namespace("a", marked))
	const warning = "spec.jwks.namespaces selects 2 more that get no copy, because the operator does not watch them (--watch-namespaces): a, b"
	a.check(request{path: webhook.PathSigningKey, new: key}, "", warning)
	a.check(request{path: webhook.PathSigningKey, old: plain, new: key}, "", warning)
	shorter := signingKey("bank", "main", selecting, func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(time.Hour) })
	a.check(request{path: webhook.PathSigningKey, old: key, new: shorter}, "")
	a.check(request{path: webhook.PathSigningKey, new: plain}, "")
	begin(t, namespace("a", marked)).check(request{path: webhook.PathSigningKey, new: key}, "")
}

// A namespace that lost its Role, or is gone with it, keeps the keys of others from being deleted only by tokens that were live there.
func TestAKeyIsDeletedAlthoughAWatchedNamespaceMayNotBeRead(t *testing.T) {
	key := signingKey("bank", "main")
	ours := newRing(t, key)
	holder := func(ns string) []client.Object {
		return []client.Object{serviceToken(ns, "till", key), tokenSecret(ns, "till", ours.sign(t, key.Spec.Issuer, time.Hour))}
	}
	watcher := operator()
	watcher.WatchedNamespaces = []string{"bank", "closed", "shop"}
	live := interceptor.NewClient(cluster(key, ours.secret).(client.WithWatch), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if new(client.ListOptions).ApplyOptions(options).Namespace == "closed" {
				return apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("servicetokens").GroupResource(), "", errors.New("no Role says so"))
			}
			return c.List(ctx, list, options...)
		},
	})
	cached := append(holder("shop"), key, ours.secret, namespace("bank", nil))
	deletion := request{path: webhook.PathSigningKey, old: key}
	serveFor(t, watcher, cluster(cached...), live).check(deletion, "")
	serveFor(t, watcher, cluster(append(cached, holder("closed")...)...), live).check(deletion, "1 ServiceToken holds a live token that nobody could verify any more (closed/till)")
}
