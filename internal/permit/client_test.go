package permit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/spec"
)

// tokenClient is in the namespace shop, proves itself by a secret and asks for itself.
func tokenClient() *v1alpha1.TokenClient {
	return &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "till"},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef:       v1alpha1.SigningKeyReference{Namespace: "bank", Name: "main"},
			Authentication:      v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}},
			Audiences:           []v1alpha1.Audience{"https://api.example"},
			AccessTokenDuration: &metav1.Duration{Duration: 10 * time.Minute},
		},
	}
}

func TestCheckClient(t *testing.T) {
	type change = func(*v1alpha1.SigningKey, *v1alpha1.TokenClient)
	key := func(change func(*v1alpha1.SigningKey, *v1alpha1.ServiceToken)) change {
		return func(k *v1alpha1.SigningKey, _ *v1alpha1.TokenClient) { change(k, nil) }
	}
	client := func(change func(*v1alpha1.TokenClientSpec)) change {
		return func(_ *v1alpha1.SigningKey, c *v1alpha1.TokenClient) { change(&c.Spec) }
	}
	lasting := func(d time.Duration) change {
		return client(func(s *v1alpha1.TokenClientSpec) { s.AccessTokenDuration = &metav1.Duration{Duration: d} })
	}
	claim := func(name, expression string) change {
		return client(func(s *v1alpha1.TokenClientSpec) {
			s.Claims = append(s.Claims, v1alpha1.ClaimExpression{Name: name, Expression: expression})
		})
	}
	scopes := func(names ...v1alpha1.Scope) change {
		return client(func(s *v1alpha1.TokenClientSpec) { s.Scopes = names })
	}
	accounts := func(names ...v1alpha1.ServiceAccountName) change {
		return client(func(s *v1alpha1.TokenClientSpec) {
			s.Authentication = v1alpha1.ClientAuthentication{ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{Names: names}}
		})
	}
	twoAudiences := client(func(s *v1alpha1.TokenClientSpec) { s.Audiences = append(s.Audiences, "b") })
	exchange := client(func(s *v1alpha1.TokenClientSpec) { s.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantTokenExchange} })
	keys := func(jwks, bundle string) change {
		return client(func(s *v1alpha1.TokenClientSpec) {
			s.Authentication = v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKS: jwks, CABundle: bundle}}
		})
	}
	const no = `spec: Forbidden: SigningKey bank/main does not sign this: rule 0 refuses it: ask the bank`
	cases := map[string]struct {
		changes []change
		// wants are the refusals; none means that the client is allowed.
		wants []string
	}{
		"an ordinary client":     {},
		"a life below the floor": {[]change{lasting(299 * time.Second)}, []string{`spec.accessTokenDuration: Invalid value: "4m59s": must be at least 5m0s, the operator's --minimum-duration: lengthen it`}},
		"a life above the key's": {[]change{lasting(3601 * time.Second)}, []string{`spec.accessTokenDuration: Invalid value: "1h0m1s": must be at most 1h0m0s, spec.tokens.maxDuration of SigningKey bank/main: shorten it, or raise that`}},
		"a life as the key's":    {changes: []change{lasting(time.Hour)}},
		"a key for other namespaces": {[]change{key(selector("tier", "test"))}, []string{
			`spec.signingKeyRef.namespace: Forbidden: SigningKey bank/main does not sign for namespace shop: use a key that does, or let its owner allow it in spec.tokens.allowedNamespaces`,
		}},
		"a key without an issuer": {[]change{func(k *v1alpha1.SigningKey, _ *v1alpha1.TokenClient) { k.Spec.Issuer = "" }}, []string{
			`spec.signingKeyRef: Forbidden: read issuer of SigningKey bank/main: spec.issuer is empty`,
		}},
		"a key whose rules do not compile": {[]change{key(rule(`claim.x`))}, []string{`spec.signingKeyRef: Forbidden: SigningKey bank/main: spec.tokens.rules: rule 0`}},

		"a claim":                          {changes: []change{claim("team", `client.labels["team"]`)}},
		"a claim that Keyturn sets":        {[]change{claim("client_id", `"x"`)}, []string{`spec.claims[0].name: Invalid value: "client_id": Keyturn sets the claim "client_id": remove it`}},
		"a claim that is taken for one":    {[]change{claim("a", "1"), claim("Scope", `"x"`)}, []string{`spec.claims[1].name: Invalid value: "Scope": some verifiers take it for the claim "scope", which Keyturn sets: rename it`}},
		"expressions that do not compile":  {[]change{claim("a", `client.nmae`), claim("b", `"`)}, []string{`spec.claims[0].expression: Invalid value: "client.nmae": line 1, column 7: undefined field 'nmae'`, `spec.claims[1].expression`}},
		"keys that are none":               {[]change{keys(`{"keys":[{"kty":"oct","k":"`+secret+`","kid":"a"}]}`, "")}, []string{`spec.authentication.privateKeyJWT.jwks: Forbidden: must be a JWK Set (RFC 7517) of 1 to 16 public keys, each with a kid of its own: keys[0]: key not usable: member k does not belong in this kind of key`}},
		"a CA that is none":                {[]change{keys("", "x")}, []string{`spec.authentication.privateKeyJWT.caBundle: Forbidden: there is no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----`}},
		"several faults of different kind": {[]change{lasting(time.Second), claim("iss", "1"), key(selector("tier", "test"))}, []string{`spec.claims[0].name`, `spec.accessTokenDuration`, `spec.signingKeyRef.namespace`}},

		"a rule on the namespace that says no":       {[]change{key(rule(`namespace.labels.tier == "test"`))}, []string{no}},
		"a rule on the client's ID":                  {changes: []change{key(rule(`claims.client_id == "shop.till" && claims.sub == "system:tokenclient:shop:till"`))}},
		"a rule on another client's ID":              {[]change{key(rule(`claims.client_id == "shop.safe"`))}, []string{no}},
		"a rule on the audience":                     {changes: []change{key(rule(`claims.aud == ["https://api.example"]`))}},
		"a rule on another audience":                 {[]change{key(rule(`"b" in claims.aud`))}, []string{no}},
		"a rule on what is asked for":                {changes: []change{twoAudiences, key(rule(`claims.aud == ["b"]`))}},
		"a rule on a scope that is not there":        {[]change{key(rule(`claims.scope == "read"`))}, []string{`rule 0 cannot be evaluated, because there is no "scope": ask the bank`}},
		"a rule on the only scope":                   {[]change{scopes("write"), key(rule(`claims.scope == "read"`))}, []string{no}},
		"a rule on one of the scopes":                {changes: []change{scopes("read", "write"), key(rule(`claims.scope == "read"`))}},
		"a rule on a claim that an expression makes": {changes: []change{claim("level", "1"), key(rule(`claims.level == 3`))}},
		"a rule on a claim that nothing makes":       {[]change{key(rule(`claims.level == 3`))}, []string{`rule 0 cannot be evaluated, because there is no "level"`}},
		"a rule on all claims":                       {changes: []change{claim("level", "1"), key(rule(`claims.exists(k, k == "tier")`))}},
		"a rule that is no whatever is unknown":      {[]change{claim("level", "1"), key(rule(`claims.level == 3 && claims.client_id == "x"`))}, []string{no}},
		"a rule on the only ServiceAccount":          {[]change{accounts("till"), key(rule(`claims.sub == "system:serviceaccount:shop:safe"`))}, []string{no}},
		"a rule on one of the ServiceAccounts":       {changes: []change{accounts("till", "safe"), key(rule(`claims.sub == "system:serviceaccount:shop:safe"`))}},
		"a rule on the life":                         {[]change{key(rule(`claims.exp - claims.iat <= 60`))}, []string{no}},
		"a rule on the life of an exchange":          {changes: []change{exchange, key(rule(`claims.exp - claims.iat <= 60`))}},
		"a rule on whom an exchange is about":        {changes: []change{exchange, key(rule(`claims.sub == "alice" && claims.act.sub != ""`))}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k, asking := signingKey(), tokenClient()
			for _, change := range c.changes {
				change(k, asking)
			}
			ns := spec.Namespace{Name: "shop", Labels: map[string]string{"tier": "prod"}}
			refused := permit.New(operator()).CheckClient(k, ns, asking, now())
			if len(refused) != len(c.wants) || strings.Contains(fmt.Sprint(refused), secret) {
				t.Fatalf("got %d refusals, want %d: %v", len(refused), len(c.wants), refused)
			}
			for i, want := range c.wants {
				if got := refused[i].Error(); !strings.Contains(got, want) {
					t.Errorf("refusal %d\n got: %s\nwant: %s", i, got, want)
				}
			}
		})
	}
}
