package webhook_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

// series are the values of a metric, a counter's or how often a histogram was observed, by the values of its labels.
func series(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			slices.Reverse(labels)
			found[strings.Join(labels, " ")] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return found
}

// grown are the labels of the series that have grown since.
func grown(t *testing.T, name string, before map[string]float64) []string {
	t.Helper()
	var found []string
	for labels, value := range series(t, name) {
		if value > before[labels] {
			found = append(found, labels)
		}
	}
	return found
}

func TestRefusalsAreCountedByReason(t *testing.T) {
	key := signingKey("bank", "main", func(k *v1alpha1.SigningKey) { k.Spec.Tokens.AllowedNamespaces.From = v1alpha1.NamespacesFromSame })
	open := signingKey("bank", "open")
	picky := signingKey("bank", "picky", func(k *v1alpha1.SigningKey) {
		k.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: "false", Message: "never"}}
	})
	broken := signingKey("bank", "broken", func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "" })
	gone := signingKey("bank", "gone", func(k *v1alpha1.SigningKey) { k.UID = "gone-uid" })
	keys, lost := newRing(t, key), newRing(t, gone)
	gone.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(lost.keys.Ring().Keys[0].ID)}
	fresh, stale := keys.sign(t, key.Spec.Issuer, time.Hour), keys.sign(t, key.Spec.Issuer, -time.Hour)
	revoked := lost.sign(t, gone.Spec.Issuer, time.Hour)
	a := begin(t, key, open, picky, broken, gone, keys.secret, lost.secret, namespace("shop", nil), namespace("bank", nil),
		serviceToken("bank", "till", key), ours(tokenSecret("bank", "till", fresh)),
		tokenSecret("shop", "stale", stale), tokenSecret("shop", "revoked", revoked))

	spec := func(change func(*v1alpha1.SigningKeySpec)) request {
		return request{path: webhook.PathSigningKey, new: signingKey("bank", "new", func(k *v1alpha1.SigningKey) { change(&k.Spec) })}
	}
	asked := func(key *v1alpha1.SigningKey, change func(*v1alpha1.ServiceTokenSpec)) request {
		return request{path: webhook.PathServiceToken, new: serviceToken("shop", "till", key, func(t *v1alpha1.ServiceToken) { change(&t.Spec) })}
	}
	holding := func(compact string) request {
		return request{path: webhook.PathSecret, new: tokenSecret("shop", "new", compact)}
	}
	as := func(key *v1alpha1.SigningKey) request { return asked(key, func(*v1alpha1.ServiceTokenSpec) {}) }
	client := func(key *v1alpha1.SigningKey, change ...func(*v1alpha1.TokenClient)) request {
		return request{path: webhook.PathTokenClient, new: tokenClient("shop", "new", key, change...)}
	}
	policy := func(change ...func(*v1alpha1.TokenPolicySpec)) request {
		return request{path: webhook.PathTokenPolicy, new: tokenPolicy(open, change...)}
	}
	empty := tokenSecret("shop", "new", "")
	empty.Data = nil
	selector := metav1.LabelSelector{MatchLabels: map[string]string{"a b": "c"}}
	cases := map[string]request{
		"signingkey IssuerMissing":   spec(func(s *v1alpha1.SigningKeySpec) { s.Issuer = "" }),
		"signingkey InvalidPolicy":   spec(func(s *v1alpha1.SigningKeySpec) { s.Rotation.Period = lasting(time.Hour) }),
		"signingkey InvalidRule":     spec(func(s *v1alpha1.SigningKeySpec) { s.Tokens.Rules = []v1alpha1.TokenRule{{Expression: "("}} }),
		"signingkey InvalidSelector": spec(func(s *v1alpha1.SigningKeySpec) { s.JWKS.Namespaces = &selector }),
		"signingkey TokenAlive":      {path: webhook.PathSigningKey, old: key},

		"servicetoken InvalidClaims": asked(open, func(s *v1alpha1.ServiceTokenSpec) { s.Claims = &runtime.RawExtension{Raw: []byte(`{"iss":"x"}`)} }),
		"servicetoken InvalidTemplate": asked(open, func(s *v1alpha1.ServiceTokenSpec) {
			s.SecretTemplate = &v1alpha1.SecretTemplate{Data: map[string]v1alpha1.TemplateText{"a": "{{"}}
		}),
		"servicetoken InvalidDuration":     asked(open, func(s *v1alpha1.ServiceTokenSpec) { s.Duration = lasting(48 * time.Hour) }),
		"servicetoken Ended":               asked(open, func(s *v1alpha1.ServiceTokenSpec) { s.ExpiresAt = &metav1.Time{Time: today()} }),
		"servicetoken NamespaceNotAllowed": as(key),
		"servicetoken SigningKeyNotUsable": as(broken),
		"servicetoken SubjectNotAllowed":   asked(open, func(s *v1alpha1.ServiceTokenSpec) { s.ServiceAccountName, s.Subject = "", "admin" }),
		"servicetoken RuleSaysNo":          as(picky),

		"tokenclient InvalidClaims":   client(open, claiming("iss", "1")),
		"tokenclient InvalidDuration": client(open, accessing(48*time.Hour)),
		"tokenclient InvalidKeys": client(open, func(c *v1alpha1.TokenClient) {
			c.Spec.Authentication = v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKS: "{}"}}
		}),
		"tokenclient InvalidSelector": client(open, func(c *v1alpha1.TokenClient) {
			c.Spec.Authentication = v1alpha1.ClientAuthentication{ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{Selector: &selector}}
		}),
		"tokenclient NamespaceNotAllowed": client(key),
		"tokenclient SigningKeyNotUsable": client(broken),
		"tokenclient RuleSaysNo":          client(picky),
		"tokenrevocation InFuture":        {path: webhook.PathTokenRevocation, new: tokenRevocation(before(today().Add(time.Hour)))},
		"tokenrevocation TokenAlive":      {path: webhook.PathTokenRevocation, old: tokenRevocation(alive(time.Hour))},
		"tokenpolicy InvalidIssuer":       policy(keyRef("bank", "open")),
		"tokenpolicy InvalidRule":         policy(ruling("x")),
		"tokenpolicy InvalidHeader":       policy(headers("a", "A")),

		"secret Absent":       {path: webhook.PathSecret, new: empty},
		"secret Malformed":    holding("x"),
		"secret Expired":      holding(stale),
		"secret Revoked":      holding(revoked),
		"secret Unverifiable": holding(newRing(t, key).sign(t, key.Spec.Issuer, time.Hour)),
		"pod Expired":         {path: webhook.PathPod, new: mounting("stale")},
		"pod Revoked":         {path: webhook.PathPod, new: mounting("revoked")},
	}
	const name = "keyturn_admission_refusals_total"
	for labels, r := range cases {
		t.Run(labels, func(t *testing.T) {
			before := series(t, name)
			a.t = t
			if got := a.ask(r); got.Allowed {
				t.Error("the request is allowed")
			}
			if diff := cmp.Diff([]string{labels}, grown(t, name, before)); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
		})
	}
	for labels := range maps.Keys(series(t, name)) {
		if _, shown := cases[labels]; !shown && !strings.HasSuffix(labels, " Error") {
			t.Errorf("the reason %q is told, and no refusal has it", labels)
		}
	}
}

func TestRequestsThatCannotBeJudgedAreCounted(t *testing.T) {
	broken := interceptor.NewClient(cluster().(client.WithWatch), interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("unplugged")
		},
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errors.New("unplugged")
		},
	})
	a := serve(t, broken, broken)
	const name = "keyturn_admission_refusals_total"
	key := signingKey("bank", "main")
	for labels, r := range map[string]request{
		"signingkey Error":      {path: webhook.PathSigningKey, new: key},
		"servicetoken Error":    {path: webhook.PathServiceToken, new: serviceToken("shop", "till", key)},
		"tokenclient Error":     {path: webhook.PathTokenClient, new: tokenClient("shop", "till", key)},
		"tokenrevocation Error": {path: webhook.PathTokenRevocation, new: tokenRevocation()},
		"tokenpolicy Error":     {path: webhook.PathTokenPolicy, new: tokenPolicy(key)},
		"secret Error":          {path: webhook.PathSecret, new: tokenSecret("shop", "new", newRing(t, key).sign(t, key.Spec.Issuer, time.Hour))},
	} {
		before := series(t, name)
		if got := a.ask(r); got.Allowed {
			t.Error("the request is allowed")
		}
		if diff := cmp.Diff([]string{labels}, grown(t, name, before)); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
	}
}

func TestVerificationsAreCountedByResult(t *testing.T) {
	key := signingKey("bank", "main")
	keys := newRing(t, key)
	a := begin(t, key, keys.secret, lenient("shop"))
	const name = "keyturn_admission_token_verification_duration_seconds"
	for result, compact := range map[string]string{
		"Valid":        keys.sign(t, key.Spec.Issuer, time.Hour),
		"Malformed":    "x",
		"Expired":      keys.sign(t, key.Spec.Issuer, -time.Hour),
		"Unverifiable": newRing(t, key).sign(t, key.Spec.Issuer, time.Hour),
	} {
		before := series(t, name)
		if got := a.ask(request{path: webhook.PathSecret, new: tokenSecret("shop", "new", compact)}); !got.Allowed {
			t.Errorf("a namespace that asks for warnings gets a refusal: %s", got.Result.Message)
		}
		if diff := cmp.Diff([]string{result}, grown(t, name, before)); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
	}
}
