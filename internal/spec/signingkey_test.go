package spec_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/spec"
)

func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func operator() spec.Operator { return spec.Operator{SignerStaleness: 5 * time.Minute} }

func signingKey(changes ...func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main"}}
	for _, change := range changes {
		change(key)
	}
	return key
}

func lasting(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func TestPolicy(t *testing.T) {
	defaults := rotation.Policy{
		Algorithm: "ES256", Period: 720 * time.Hour, VerifierCache: time.Hour, Propagation: 2 * time.Minute, Skew: time.Minute,
		LongestToken: 24 * time.Hour, SignerStaleness: 5 * time.Minute,
	}
	with := func(change func(*rotation.Policy)) rotation.Policy {
		p := defaults
		change(&p)
		return p
	}
	requested := func(value string) func(*v1alpha1.SigningKey) {
		return func(k *v1alpha1.SigningKey) {
			k.Annotations = map[string]string{"keyturn.dev/rotate-requested-at": value}
		}
	}
	cases := map[string]struct {
		given func(*v1alpha1.SigningKey)
		want  rotation.Policy
	}{
		"an empty spec has the API's defaults": {func(*v1alpha1.SigningKey) {}, defaults},
		"everything is given": {
			func(k *v1alpha1.SigningKey) {
				k.Spec.Algorithm = "EdDSA"
				k.Spec.Rotation = v1alpha1.RotationSpec{
					Period: lasting(time.Hour), VerifierCacheDuration: lasting(4 * time.Second),
					PropagationDelay: lasting(3 * time.Second), ClockSkew: lasting(2 * time.Second),
				}
				k.Spec.Tokens.MaxDuration = lasting(time.Minute)
				k.Spec.RevokedKeyIDs = []v1alpha1.KeyID{"b", "a"}
			},
			rotation.Policy{
				Algorithm: "EdDSA", Period: time.Hour, VerifierCache: 4 * time.Second, Propagation: 3 * time.Second, Skew: 2 * time.Second,
				LongestToken: time.Minute, SignerStaleness: 5 * time.Minute, Revoked: []string{"b", "a"},
			},
		},
		"a duration of nothing is not an absent one": {
			func(k *v1alpha1.SigningKey) {
				k.Spec.Rotation = v1alpha1.RotationSpec{VerifierCacheDuration: lasting(0), PropagationDelay: lasting(0), ClockSkew: lasting(0)}
			},
			with(func(p *rotation.Policy) { p.VerifierCache, p.Propagation, p.Skew = 0, 0, 0 }),
		},
		"a requested rotation":          {requested("2026-01-02"), with(func(p *rotation.Policy) { p.RotateRequest = "2026-01-02" })},
		"an empty request is none":      {requested(""), defaults},
		"a request of 64 bytes is kept": {requested(strings.Repeat("a", 64)), with(func(p *rotation.Policy) { p.RotateRequest = strings.Repeat("a", 64) })},
		"a longer request is kept as a hash": {requested(strings.Repeat("a", 65)), with(func(p *rotation.Policy) {
			p.RotateRequest = "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"
		})},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, operator().Policy(signingKey(c.given))); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLongRequestsStayDifferent because a ring rotates when the request becomes another.
func TestLongRequestsStayDifferent(t *testing.T) {
	request := func(value string) string {
		return operator().Policy(signingKey(func(k *v1alpha1.SigningKey) {
			k.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: value}
		})).RotateRequest
	}
	long := strings.Repeat("x", 200_000)
	if one, other := request(long+"1"), request(long+"2"); one == other || len(one) > 64 || one != request(long+"1") {
		t.Errorf("two long requests become %q and %q", one, other)
	}
}

func TestIssuer(t *testing.T) {
	named := signingKey(func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "https://named.example" })
	outside := spec.Operator{ExternalURL: "https://tokens.example/base"}
	cases := map[string]struct {
		operator spec.Operator
		key      *v1alpha1.SigningKey
		want     string
		err      error
	}{
		"a named issuer": {operator(), named, "https://named.example", nil},
		"a named issuer counts more than the external URL": {outside, named, "https://named.example", nil},
		"without a name it is below the external URL":      {outside, signingKey(), "https://tokens.example/base/bank/main", nil},
		"without either there is none":                     {operator(), signingKey(), "", spec.ErrIssuerMissing},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := c.operator.Issuer(c.key)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v, want %q, %v", got, err, c.want, c.err)
			}
			var index []string
			if c.want != "" {
				index = []string{c.want}
			}
			if diff := cmp.Diff(index, c.operator.IssuerIndex(c.key)); diff != "" {
				t.Errorf("index (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamesOfASigningKeysObjects(t *testing.T) {
	given := signingKey(func(k *v1alpha1.SigningKey) { k.Spec.SecretName, k.Spec.JWKS.Name = "ring", "keys" })
	got := []string{spec.RingSecretName(signingKey()), spec.JWKSName(signingKey()), spec.RingSecretName(given), spec.JWKSName(given)}
	if diff := cmp.Diff([]string{"main-signing-key", "main-jwks", "ring", "keys"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestAllows(t *testing.T) {
	prod := &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}
	wrong := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Like"}}}
	from := func(scope v1alpha1.NamespaceScope, selector *metav1.LabelSelector) *v1alpha1.SigningKey {
		return signingKey(func(k *v1alpha1.SigningKey) {
			k.Spec.Tokens.AllowedNamespaces = v1alpha1.AllowedNamespaces{From: scope, Selector: selector}
		})
	}
	shop := spec.Namespace{Name: "shop", Labels: map[string]string{"tier": "prod"}}
	test := spec.Namespace{Name: "test", Labels: map[string]string{"tier": "test"}}
	bank := spec.Namespace{Name: "bank"}
	cases := map[string]struct {
		key  *v1alpha1.SigningKey
		ns   spec.Namespace
		want bool
		err  string
	}{
		"by default its own namespace":                   {key: signingKey(), ns: bank, want: true},
		"by default no other namespace":                  {key: signingKey(), ns: shop},
		"Same allows its own":                            {key: from("Same", nil), ns: bank, want: true},
		"Same allows no other":                           {key: from("Same", nil), ns: shop},
		"Same allows no other, whatever a selector says": {key: from("Same", &metav1.LabelSelector{}), ns: shop},
		"All allows its own":                             {key: from("All", nil), ns: bank, want: true},
		"All allows every other":                         {key: from("All", nil), ns: shop, want: true},
		"Selector allows its own, unselected":            {key: from("Selector", prod), ns: bank, want: true},
		"Selector allows what it selects":                {key: from("Selector", prod), ns: shop, want: true},
		"Selector allows nothing else":                   {key: from("Selector", prod), ns: test},
		"an empty selector allows all":                   {key: from("Selector", &metav1.LabelSelector{}), ns: test, want: true},
		"no selector allows none":                        {key: from("Selector", nil), ns: shop},
		"a selector that is none is an error":            {key: from("Selector", wrong), ns: shop, err: "read label selector: "},
		"a scope that is unknown allows no other":        {key: from("Some", prod), ns: shop},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := spec.Allows(c.key, c.ns)
			if got != c.want || (err != nil) != (c.err != "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("got %t, %v, want %t, %q", got, err, c.want, c.err)
			}
		})
	}
}

func TestSelects(t *testing.T) {
	expression := func(operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: operator, Values: values}}}
	}
	cases := map[string]struct {
		selector *metav1.LabelSelector
		want     bool
	}{
		"no selector":           {nil, false},
		"an empty selector":     {&metav1.LabelSelector{}, true},
		"the label":             {&metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}, true},
		"another value":         {&metav1.LabelSelector{MatchLabels: map[string]string{"tier": "test"}}, false},
		"another label too":     {&metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod", "team": "a"}}, false},
		"one of several values": {expression(metav1.LabelSelectorOpIn, "test", "prod"), true},
		"none of the values":    {expression(metav1.LabelSelectorOpNotIn, "test", "prod"), false},
		"the label exists":      {expression(metav1.LabelSelectorOpExists), true},
		"the label is absent":   {expression(metav1.LabelSelectorOpDoesNotExist), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := spec.Selects(c.selector, spec.Namespace{Name: "shop", Labels: map[string]string{"tier": "prod"}})
			if err != nil || got != c.want {
				t.Errorf("got %t, %v, want %t", got, err, c.want)
			}
		})
	}
}

func TestOlder(t *testing.T) {
	key := func(namespace, name string, born time.Duration) *v1alpha1.SigningKey {
		return &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, CreationTimestamp: metav1.Time{Time: epoch().Add(born)},
		}}
	}
	cases := map[string]struct {
		a, b *v1alpha1.SigningKey
	}{
		"the one created earlier":                         {key("z", "z", 0), key("a", "a", time.Second)},
		"of one age that of the first namespace":          {key("a", "z", 0), key("b", "a", 0)},
		"of one age and namespace that of the first name": {key("a", "a", 0), key("a", "b", 0)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if !spec.Older(c.a, c.b) || spec.Older(c.b, c.a) {
				t.Errorf("older is %t, and the other way %t", spec.Older(c.a, c.b), spec.Older(c.b, c.a))
			}
			if spec.Older(c.a, c.a) {
				t.Error("a key is older than itself")
			}
		})
	}
}

func TestKeyOf(t *testing.T) {
	cases := map[string]struct {
		without string
		want    types.NamespacedName
		ok      bool
	}{
		"all labels":             {"", types.NamespacedName{Namespace: "bank", Name: "main"}, true},
		"no name":                {"keyturn.dev/signing-key", types.NamespacedName{Namespace: "bank"}, false},
		"no namespace":           {"keyturn.dev/signing-key-namespace", types.NamespacedName{Name: "main"}, false},
		"not written by Keyturn": {"app.kubernetes.io/managed-by", types.NamespacedName{Namespace: "bank", Name: "main"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			object := &metav1.ObjectMeta{Labels: map[string]string{
				"app.kubernetes.io/managed-by": "keyturn", "keyturn.dev/signing-key": "main", "keyturn.dev/signing-key-namespace": "bank",
			}}
			delete(object.Labels, c.without)
			got, ok := spec.KeyOf(object)
			if ok != c.ok || got != c.want {
				t.Errorf("got %s, %t, want %s, %t", got, ok, c.want, c.ok)
			}
		})
	}
	if _, ok := spec.KeyOf(&metav1.ObjectMeta{}); ok {
		t.Error("an object without labels names a SigningKey")
	}
}
