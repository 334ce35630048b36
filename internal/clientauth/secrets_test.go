package clientauth_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/clientsecret"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/test/controlplane"
)

var (
	current  = "kts_" + strings.Repeat("c", 43)
	previous = "kts_" + strings.Repeat("p", 43)
)

func TestAClientProvesItselfByItsSecret(t *testing.T) {
	w := begin(t, withSecret())
	must(t, w.c.Create(t.Context(), secretOf(current, previous, w.clock.Now().Add(time.Hour))))

	proof, err := w.attempt(clientauth.Attempt{ClientID: "shop.cart", Secret: clientsecret.NewValue(current)})
	must(t, err)
	if proof.Client.Name != "cart" || proof.Method != clientauth.ClientSecret || proof.Account != nil {
		t.Errorf("the proof is %+v", proof)
	}
	must(t, w.secret("shop.cart", previous))
	w.clock.Step(time.Hour)
	must(t, w.secret("shop.cart", current))
	refused(t, w.secret("shop.cart", previous), "the client secret is wrong")
}

func TestWhoDoesNotKnowTheSecretIsRefused(t *testing.T) {
	elsewhere := withSecret()
	elsewhere.Name, elsewhere.UID = "elsewhere", "elsewhere"
	elsewhere.Spec.SigningKeyRef.Name = "other"
	lost := withSecret()
	lost.Name, lost.UID = "lost", "lost"
	foreign := withSecret()
	foreign.Name, foreign.UID = "foreign", "foreign"
	unmarked := secretOf(current, "", time.Time{})
	unmarked.Name, unmarked.Labels = "foreign-client", nil
	keyed := withKeys("{}")
	keyed.Name, keyed.UID = "keyed", "keyed"
	given := secretOf(current, "", time.Time{})
	given.Name = "elsewhere-client"
	w := begin(t, withSecret(), secretOf(current, "", time.Time{}), elsewhere, given, lost, foreign, unmarked, keyed)
	for sentence, c := range map[string]struct{ id, secret, words string }{
		"a wrong secret":                       {"shop.cart", previous, "is wrong"},
		"a part of the secret":                 {"shop.cart", current[:40], "is wrong"},
		"no secret":                            {"shop.cart", "", "is wrong"},
		"a client that does not exist":         {"shop.nobody", current, "no such client"},
		"what is no client_id":                 {"cart", current, "no such client"},
		"a path instead of a client_id":        {"shop.../cart", current, "no such client"},
		"no client_id":                         {"", current, "neither a client_id"},
		"a client of another issuer":           {"shop.elsewhere", current, "no such client"},
		"a client whose Secret is lost":        {"shop.lost", current, "is wrong"},
		"nothing where the Secret is lost":     {"shop.lost", "", "is wrong"},
		"a client whose Secret is foreign":     {"shop.foreign", current, "is wrong"},
		"a client that has keys and no secret": {"shop.keyed", current, "has no client secret"},
	} {
		t.Run(sentence, func(t *testing.T) { refused(t, w.secret(c.id, c.secret), c.words) })
	}
	_, err := w.attempt(clientauth.Attempt{ClientID: "shop.cart", Secret: clientsecret.NewValue(current), Assertion: jose.NewCompact("a.b.c")})
	refused(t, err, "in one way")
	_, err = w.attempt(clientauth.Attempt{ClientID: "shop.cart", Assertion: jose.NewCompact("a.b.c")})
	refused(t, err, "has a client secret")
}

func TestAClientThatIsBeingDeletedIsNone(t *testing.T) {
	going := withSecret()
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: time.Unix(0, 0)}, []string{"example.com/held"}
	w := begin(t, going, secretOf(current, "", time.Time{}))
	refused(t, w.secret("shop.cart", current), "no such client")
}

// counted counts how often the Secret is read.
type counted struct {
	client.WithWatch
	reads int
}

func (c *counted) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	if _, ok := into.(*corev1.Secret); ok {
		c.reads++
	}
	return c.WithWatch.Get(ctx, key, into, options...)
}

func TestASecretThatWasRotatedAMomentAgoIsAskedForOnce(t *testing.T) {
	build := func(secret *corev1.Secret) client.WithWatch {
		return fake.NewClientBuilder().WithScheme(controlplane.Scheme()).WithObjects(withSecret(), secret).Build()
	}
	live := &counted{WithWatch: build(secretOf(current, previous, time.Unix(1<<35, 0)))}
	w := beginWith(t, live, build(secretOf(previous, "", time.Time{})))

	must(t, w.secret("shop.cart", previous))
	if live.reads != 0 {
		t.Errorf("a secret that the cache knows was asked for %d times", live.reads)
	}
	must(t, w.secret("shop.cart", current))
	for range 3 {
		refused(t, w.secret("shop.cart", current+"x"), "is wrong")
	}
	if live.reads != 1 {
		t.Errorf("within a second the API server was asked %d times, want once", live.reads)
	}
	w.clock.Step(time.Second)
	must(t, w.secret("shop.cart", current))
	if live.reads != 2 {
		t.Errorf("after a second the API server was asked %d times, want twice", live.reads)
	}
}

func TestSecretsAreJudgedWhileTheAPIServerIsAway(t *testing.T) {
	cache := fake.NewClientBuilder().WithScheme(controlplane.Scheme()).
		WithObjects(withSecret(), secretOf(current, "", time.Time{})).Build()
	w := beginWith(t, broken{}, cache)
	must(t, w.secret("shop.cart", current))
	refused(t, w.secret("shop.cart", previous), "is wrong")
	unavailable(t, beginWith(t, broken{}, broken{}).secret("shop.cart", current))
}
