package permit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/spec"
)

// issue is what TokenClient shop/till asks of signingKey.
func issue() permit.Issue {
	return permit.Issue{
		Namespace: spec.Namespace{Name: "shop", Labels: map[string]string{"tier": "prod"}},
		Request: token.Request{
			Issuer: "https://issuer.example", Subject: "system:tokenclient:shop:till", Audiences: []string{"https://api.example"},
			Type: token.TypeAccessToken, Duration: 10 * time.Minute, Skew: time.Minute,
			Claims: map[string]any{"client_id": "shop.till", "scope": "read", "password": secret},
		},
	}
}

func TestCheckIssue(t *testing.T) {
	key := func(change func(*v1alpha1.SigningKey, *v1alpha1.ServiceToken)) func(*v1alpha1.SigningKey, *permit.Issue) {
		return func(k *v1alpha1.SigningKey, _ *permit.Issue) { change(k, nil) }
	}
	subject := func(text string) func(*v1alpha1.SigningKey, *permit.Issue) {
		return func(_ *v1alpha1.SigningKey, i *permit.Issue) { i.Request.Subject = text }
	}
	vouched := func(_ *v1alpha1.SigningKey, i *permit.Issue) { i.Vouched = true }
	home := func(_ *v1alpha1.SigningKey, i *permit.Issue) { i.Namespace.Name = "bank" }
	type changes = []func(*v1alpha1.SigningKey, *permit.Issue)
	cases := map[string]struct {
		changes changes
		// want is the only refusal; none means that the token is allowed.
		want string
	}{
		"an ordinary token": {},
		"a life that is shorter than a ServiceToken's may be": {changes: changes{func(_ *v1alpha1.SigningKey, i *permit.Issue) { i.Request.Duration = time.Second }}},
		"a life above the key's": {
			changes{func(_ *v1alpha1.SigningKey, i *permit.Issue) { i.Request.Duration = 3601 * time.Second }},
			`spec.accessTokenDuration: Invalid value: "1h0m1s": must be at most 1h0m0s, spec.tokens.maxDuration of SigningKey bank/main: shorten it, or raise that`,
		},
		"a key for other namespaces": {
			changes{key(selector("tier", "test"))},
			`spec.signingKeyRef.namespace: Forbidden: SigningKey bank/main does not sign for namespace shop: use a key that does, or let its owner allow it in spec.tokens.allowedNamespaces`,
		},
		"a rule on the client and the scope": {changes: changes{key(rule(`claims.client_id == "shop.till" && claims.scope == "read" && claims.sub != ""`))}},
		"a rule that says no": {
			changes{key(rule(`namespace.labels.tier == "test"`))},
			`spec: Forbidden: SigningKey bank/main does not sign this: rule 0 refuses it: ask the bank`,
		},
		"a rule that does not compile": {
			changes{key(rule(`claim.scope == "x"`))},
			`spec.signingKeyRef: Forbidden: SigningKey bank/main: spec.tokens.rules: rule 0: line 1, column 1: undeclared reference to 'claim'`,
		},

		"a ServiceAccount of the namespace":  {changes: changes{subject("system:serviceaccount:shop:any")}},
		"another TokenClient of it":          {changes: changes{subject("system:tokenclient:shop:other")}},
		"a ServiceAccount of another":        {changes{subject("system:serviceaccount:bank:vault")}, `spec.authentication: Forbidden: "system:serviceaccount:bank:vault" is neither a TokenClient nor a ServiceAccount of namespace shop`},
		"a TokenClient of another":           {changes{subject("system:tokenclient:bank:till")}, `exchange a token that this issuer has signed, or let a rule of SigningKey bank/main that names claims.sub allow it`},
		"a subject that ends early":          {changes{subject("system:tokenclient:shop:")}, `is neither`},
		"a free subject":                     {changes{subject("admin")}, `"admin" is neither`},
		"a free subject in the key's own":    {changes{home, subject("admin")}, `"admin" is neither`},
		"a subject that the issuer vouches":  {changes: changes{subject("admin"), vouched}},
		"a subject that a rule allows":       {changes: changes{subject("admin"), key(rule(`claims.sub == "admin"`))}},
		"a vouched subject that a rule hits": {changes{subject("root"), vouched, key(rule(`claims.sub == "admin"`))}, `rule 0 refuses it: ask the bank`},

		"a token that cannot be signed": {
			changes{func(_ *v1alpha1.SigningKey, i *permit.Issue) { i.Request.Claims["scope"] = strings.Repeat("a", 16<<10) }},
			`spec: Forbidden: audiences, claims, subject and the issuer of the SigningKey make a token of up to`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k, asked := signingKey(), issue()
			for _, change := range c.changes {
				change(k, &asked)
			}
			refused := permit.New(operator()).CheckIssue(k, asked, now())
			switch {
			case c.want == "" && len(refused) > 0:
				t.Errorf("want it allowed, got: %v", refused)
			case c.want != "" && (len(refused) != 1 || !strings.Contains(refused[0].Error(), c.want)):
				t.Errorf("refusals\n got: %v\nwant: %s", refused, c.want)
			case strings.Contains(fmt.Sprint(refused), secret):
				t.Errorf("a refusal tells a claim: %v", refused)
			}
		})
	}
}
