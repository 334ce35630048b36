package webhook_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

// tokenPolicy accepts tokens of a SigningKey.
func tokenPolicy(key *v1alpha1.SigningKey, change ...func(*v1alpha1.TokenPolicySpec)) *v1alpha1.TokenPolicy {
	p := &v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "api"},
		Spec: v1alpha1.TokenPolicySpec{
			Issuers:   []v1alpha1.PolicyIssuer{{SigningKeyRef: &v1alpha1.SigningKeyReference{Namespace: key.Namespace, Name: key.Name}}},
			Audiences: []v1alpha1.Audience{"https://api.example"},
		},
	}
	for _, f := range change {
		f(&p.Spec)
	}
	return p
}

func ruling(expressions ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		for _, e := range expressions {
			s.Rules = append(s.Rules, v1alpha1.RequestRule{Expression: e})
		}
	}
}

func elsewhere(issuers ...v1alpha1.ExternalIssuer) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		for _, e := range issuers {
			s.Issuers = append(s.Issuers, v1alpha1.PolicyIssuer{External: &e})
		}
	}
}

func keyRef(namespace, name string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Issuers = append(s.Issuers, v1alpha1.PolicyIssuer{SigningKeyRef: &v1alpha1.SigningKeyReference{Namespace: namespace, Name: name}})
	}
}

func headers(names ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		for _, n := range names {
			s.Headers = append(s.Headers, v1alpha1.ClaimHeader{Name: n, Claim: "sub"})
		}
	}
}

func TestTokenPolicies(t *testing.T) {
	key := signingKey("bank", "main")
	twin := signingKey("shop", "twin", func(k *v1alpha1.SigningKey) { k.Spec.Issuer = key.Spec.Issuer })
	mute := signingKey("bank", "mute", func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "" })
	type change = func(*v1alpha1.TokenPolicySpec)
	cases := map[string]struct {
		change   []change
		want     string
		warnings []string
	}{
		"an ordinary policy": {},
		"rules":              {change: []change{ruling(`request.method == "GET" || "admin" in claims.roles`)}},
		"rules that do not compile": {
			change: []change{ruling("true", "request.body == ''", "claims.admin")},
			want:   `TokenPolicy.keyturn.dev "api" is invalid: [spec.rules[1].expression: Invalid value: "request.body == ''": line 1, column 8: undefined field 'body': request has method, host, path, query, spec.rules[2].expression: Invalid value: "claims.admin": the expression must be a bool`,
		},
		"an issuer elsewhere":                  {change: []change{elsewhere(v1alpha1.ExternalIssuer{Issuer: "https://else.example/realm"})}},
		"the issuer of a key, again":           {change: []change{keyRef("bank", "main")}, want: `spec.issuers[1].signingKeyRef: Forbidden: issuer "https://main.bank.example" is there already: remove one, because a token has one issuer`},
		"the issuer of a key, by another":      {change: []change{keyRef("", "twin")}, want: `spec.issuers[1].signingKeyRef: Forbidden: issuer "https://main.bank.example" is there already`},
		"the issuer of a key, as from outside": {change: []change{elsewhere(v1alpha1.ExternalIssuer{Issuer: key.Spec.Issuer})}, want: `spec.issuers[1].external.issuer: Forbidden: issuer "https://main.bank.example" is there already`},
		"keys that are not there": {
			change:   []change{keyRef("bank", "later"), keyRef("bank", "soon")},
			warnings: []string{"spec.issuers[1].signingKeyRef: there is no SigningKey bank/later yet, so no token of it is accepted until it is there", "spec.issuers[2].signingKeyRef: there is no SigningKey bank/soon"},
		},
		"a key that is not there, twice": {
			change:   []change{keyRef("bank", "later"), keyRef("bank", "later")},
			want:     `spec.issuers[2].signingKeyRef: Forbidden: issuer "SigningKey bank/later" is there already`,
			warnings: []string{"no SigningKey bank/later", "no SigningKey bank/later"},
		},
		"a key without an issuer": {
			change:   []change{keyRef("bank", "mute")},
			warnings: []string{"spec.issuers[1].signingKeyRef: SigningKey bank/mute has no issuer, so no token of it is accepted: spec.issuer is empty"},
		},
		"an issuer that is no URL":           {change: []change{elsewhere(v1alpha1.ExternalIssuer{Issuer: "joe"})}, want: `spec.issuers[1].external.issuer: Invalid value: "joe": must be an https URL without user, query and fragment, because the keys are looked for below it: correct it, or set jwksURL`},
		"an issuer by http":                  {change: []change{elsewhere(v1alpha1.ExternalIssuer{Issuer: "http://else.example"})}, want: `must be an https URL`},
		"an issuer with a query":             {change: []change{elsewhere(v1alpha1.ExternalIssuer{Issuer: "https://else.example?a"})}, want: `must be an https URL`},
		"an issuer with a user":              {change: []change{elsewhere(v1alpha1.ExternalIssuer{Issuer: "https://a@else.example"})}, want: `must be an https URL`},
		"an issuer that is no URL with keys": {change: []change{elsewhere(v1alpha1.ExternalIssuer{Issuer: "joe", JWKSURL: "https://else.example/jwks"})}},
		"a CA that is none":                  {change: []change{elsewhere(v1alpha1.ExternalIssuer{Issuer: "https://else.example", CABundle: "x"})}, want: `spec.issuers[1].external.caBundle: Forbidden: there is no certificate in PEM`},
		"headers":                            {change: []change{headers("X-User", "X-Team")}},
		"a header in another case":           {change: []change{headers("X-User", "x-user")}, want: `spec.headers[1].name: Duplicate value: "x-user"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			begin(t, key, twin, mute).check(request{path: webhook.PathTokenPolicy, new: tokenPolicy(key, c.change...)}, c.want, c.warnings...)
		})
	}
}

func TestTokenPolicyUpdates(t *testing.T) {
	key := signingKey("bank", "main")
	faulty := tokenPolicy(key, ruling("x"))
	labelled := faulty.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	going := tokenPolicy(key, ruling("y"))
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: today()}, []string{"example.com/x"}
	for want, changed := range map[string]*v1alpha1.TokenPolicy{"": labelled, "spec.rules[0].expression": tokenPolicy(key, ruling("y"))} {
		begin(t, key).check(request{path: webhook.PathTokenPolicy, old: faulty, new: changed}, want)
	}
	begin(t, key).check(request{path: webhook.PathTokenPolicy, old: faulty, new: going}, "")
	begin(t, key).check(request{path: webhook.PathTokenPolicy, old: faulty}, "")
}
