package permit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/spec"
)

// secret is the value of a claim; no message may tell it.
const secret = "hunter2"

func operator() spec.Operator {
	return spec.Operator{MinimumDuration: 5 * time.Minute, SignerStaleness: 5 * time.Minute}
}

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC) }

// signingKey is in the namespace bank and signs for every namespace.
func signingKey() *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main"},
		Spec: v1alpha1.SigningKeySpec{
			Issuer: "https://issuer.example",
			Tokens: v1alpha1.TokensSpec{
				MaxDuration:       &metav1.Duration{Duration: time.Hour},
				AllowedNamespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll},
			},
		},
	}
}

// serviceToken is in the namespace shop.
func serviceToken() *v1alpha1.ServiceToken {
	return &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "till"},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef:      v1alpha1.SigningKeyReference{Namespace: "bank", Name: "main"},
			ServiceAccountName: "till",
			Audiences:          []v1alpha1.Audience{"https://api.example", "b"},
			Claims:             &runtime.RawExtension{Raw: []byte(`{"password":"` + secret + `","level":3}`)},
			Duration:           &metav1.Duration{Duration: time.Hour},
		},
	}
}

func subject(text string) func(*v1alpha1.SigningKey, *v1alpha1.ServiceToken) {
	return func(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) {
		t.Spec.ServiceAccountName, t.Spec.Subject = "", text
	}
}

func rule(expression string) func(*v1alpha1.SigningKey, *v1alpha1.ServiceToken) {
	return func(k *v1alpha1.SigningKey, _ *v1alpha1.ServiceToken) {
		k.Spec.Tokens.Rules = append(k.Spec.Tokens.Rules, v1alpha1.TokenRule{Expression: expression, Message: "ask the bank"})
	}
}

func selector(key, value string) func(*v1alpha1.SigningKey, *v1alpha1.ServiceToken) {
	return func(k *v1alpha1.SigningKey, _ *v1alpha1.ServiceToken) {
		k.Spec.Tokens.AllowedNamespaces = v1alpha1.AllowedNamespaces{
			From:     v1alpha1.NamespacesFromSelector,
			Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{value}}}},
		}
	}
}

func template(key, text string) func(*v1alpha1.SigningKey, *v1alpha1.ServiceToken) {
	return func(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) {
		t.Spec.SecretTemplate = &v1alpha1.SecretTemplate{Data: map[string]v1alpha1.TemplateText{"ok": "{{ .Token }}", key: v1alpha1.TemplateText(text)}}
	}
}

func claims(raw string) func(*v1alpha1.SigningKey, *v1alpha1.ServiceToken) {
	return func(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) {
		t.Spec.Claims = &runtime.RawExtension{Raw: []byte(raw)}
	}
}

func accessToken(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) {
	t.Spec.Profile = v1alpha1.ProfileAccessToken
}

func home(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) { t.Namespace = "bank" }

func TestCheck(t *testing.T) {
	type change = func(*v1alpha1.SigningKey, *v1alpha1.ServiceToken)
	cases := map[string]struct {
		changes []change
		// wants are the refusals; none means that the token is allowed.
		wants []string
	}{
		"an ordinary token": {},
		"no claims at all":  {changes: []change{func(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) { t.Spec.Claims = nil }}},

		"a registered claim": {[]change{claims(`{"exp":1}`)}, []string{
			`spec.claims: Forbidden: hold the registered claim "exp"`,
		}},
		"claims that are a list": {[]change{claims(`["` + secret + `"]`)}, []string{
			`spec.claims: Forbidden: are not a JSON object: json: cannot unmarshal array into Go value of type map[string]interface {}`,
		}},
		"claims that are too long": {[]change{claims(`{"a":"` + strings.Repeat("a", 4096) + `"}`)}, []string{
			`spec.claims: Forbidden: are 4104 bytes of JSON, at most 4096 are allowed: remove claims or shorten them`,
		}},

		"a duration below the floor": {[]change{func(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) { t.Spec.Duration.Duration = 299 * time.Second }}, []string{
			`spec.duration: Invalid value: "4m59s": must be at least 5m0s, the operator's --minimum-duration: lengthen it`,
		}},
		"a duration at the floor": {changes: []change{func(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) { t.Spec.Duration.Duration = 5 * time.Minute }}},
		"a duration above the key's": {[]change{func(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) { t.Spec.Duration.Duration = 3601 * time.Second }}, []string{
			`spec.duration: Invalid value: "1h0m1s": must be at most 1h0m0s, spec.tokens.maxDuration of SigningKey bank/main: shorten it, or raise that`,
		}},

		"a key for its own namespace only": {[]change{func(k *v1alpha1.SigningKey, _ *v1alpha1.ServiceToken) {
			k.Spec.Tokens.AllowedNamespaces = v1alpha1.AllowedNamespaces{}
		}}, []string{
			`spec.signingKeyRef.namespace: Forbidden: SigningKey bank/main does not sign for namespace shop: use a key that does, or let its owner allow it in spec.tokens.allowedNamespaces`,
		}},
		"a key for labels that the namespace has":         {changes: []change{selector("tier", "prod")}},
		"a key for labels that the namespace has not":     {[]change{selector("tier", "test")}, []string{`does not sign for namespace shop`}},
		"a key whose selector is none":                    {[]change{selector("", "test")}, []string{`spec.signingKeyRef.namespace: Forbidden: SigningKey bank/main: spec.tokens.allowedNamespaces: read label selector`}},
		"a key of the same namespace, whatever it allows": {changes: []change{home, selector("tier", "test")}},

		"the subject of an own ServiceAccount": {changes: []change{subject("system:serviceaccount:shop:till")}},
		"the subject of another namespace": {[]change{subject("system:serviceaccount:bank:vault")}, []string{
			`spec.subject: Invalid value: "system:serviceaccount:bank:vault": names no ServiceAccount of namespace shop: use spec.serviceAccountName for one, or let a rule of SigningKey bank/main that names claims.sub allow it`,
		}},
		"the subject of another namespace, from the key's own": {[]change{home, subject("system:serviceaccount:shop:till")}, []string{`names no ServiceAccount of namespace bank`}},
		"a subject that begins like an own ServiceAccount":     {[]change{subject("system:serviceaccount:shop:a:b")}, []string{`names no ServiceAccount of namespace shop`}},
		"a subject that ends before the ServiceAccount":        {[]change{subject("system:serviceaccount:shop:")}, []string{`names no ServiceAccount of namespace shop`}},
		"a namespace that begins like the own":                 {[]change{subject("system:serviceaccount:shopping:till")}, []string{`names no ServiceAccount of namespace shop`}},
		"a TokenClient of another namespace, from the key's own": {[]change{home, subject("system:tokenclient:shop:till")}, []string{
			`spec.subject: Invalid value: "system:tokenclient:shop:till": names no TokenClient of namespace bank: use another subject, or let a rule of SigningKey bank/main that names claims.sub allow it`,
		}},
		"a TokenClient of the key's own namespace": {changes: []change{home, subject("system:tokenclient:bank:till")}},
		"an own TokenClient":                       {[]change{subject("system:tokenclient:shop:till")}, []string{`must be a ServiceAccount of namespace shop`}},
		"a free subject from another namespace": {[]change{subject("admin")}, []string{
			`spec.subject: Invalid value: "admin": must be a ServiceAccount of namespace shop, because SigningKey bank/main is in another namespace: use spec.serviceAccountName, or let a rule of the key that names claims.sub allow it`,
		}},
		"a long free subject":                               {[]change{subject(strings.Repeat("a", 255))}, []string{`spec.subject: Invalid value: "` + strings.Repeat("a", 63) + `…": must be`}},
		"a free subject from the key's namespace":           {changes: []change{home, subject("admin")}},
		"a free subject that a rule allows":                 {changes: []change{subject("ci-7"), rule(`claims.sub.startsWith("ci-")`)}},
		"another namespace's subject that a rule allows":    {changes: []change{subject("system:serviceaccount:bank:vault"), rule(`claims.sub in ["system:serviceaccount:bank:vault"]`)}},
		"a subject that a rule refuses":                     {[]change{subject("root"), rule(`claims.sub.startsWith("ci-")`)}, []string{`spec: Forbidden: SigningKey bank/main does not sign this: rule 0 refuses it: ask the bank`}},
		"a free subject with rules that do not speak of it": {[]change{subject("admin"), rule(`claims.level == 3`)}, []string{`must be a ServiceAccount of namespace shop`}},

		"a client_id that is no TokenClient's":                      {changes: []change{claims(`{"client_id":"nightly-reports"}`)}},
		"a client_id of the own namespace":                          {changes: []change{claims(`{"client_id":"shop.till"}`)}},
		"a client_id of three parts":                                {changes: []change{claims(`{"client_id":"a.b.c"}`)}},
		"a client_id that no label can be":                          {changes: []change{claims(`{"client_id":"Bank.till"}`)}},
		"a client_id that a rule allows":                            {changes: []change{claims(`{"client_id":"bank.till"}`), rule(`claims.client_id == "bank.till"`)}},
		"a client_id that a rule refuses":                           {[]change{claims(`{"client_id":"bank.till"}`), rule(`claims.client_id.startsWith(namespace.name + ".")`)}, []string{`rule 0 refuses it`}},
		"a client_id of another namespace, with a rule of subjects": {[]change{claims(`{"client_id":"bank.till"}`), rule(`claims.sub != ""`)}, []string{`spec.claims[client_id]: Forbidden: can be the client_id`}},
		"a subject of another namespace, with a rule of clients":    {[]change{subject("admin"), rule(`claims.?client_id.orValue("") == ""`)}, []string{`must be a ServiceAccount of namespace shop`}},
		"a client_id that some verifiers read in spite of its case": {[]change{claims(`{"Client_ID":"bank.till"}`)}, []string{`spec.claims[Client_ID]: Forbidden: can be the client_id`}},
		"a client_id that is a list":                                {[]change{claims(`{"client_id":["bank.hunter2"]}`)}, []string{`spec.claims[client_id]: Forbidden: must be a text (RFC 8693 section 4.3)`}},
		"a client_id of another namespace, from the key's own":      {[]change{home, claims(`{"client_id":"shop.hunter2"}`)}, []string{`of another namespace than bank`}},
		"a subject that is no client_id, as the token has none":     {changes: []change{home, subject("shop.till")}},
		"a subject that is the client_id of an access token":        {[]change{home, subject("shop.till"), accessToken}, []string{`spec.subject: Invalid value: "shop.till": becomes the client_id of an access token, and can be the client_id`}},
		"such a subject of an access token with another client_id":  {changes: []change{home, subject("shop.till"), accessToken, claims(`{"client_id":"till"}`)}},
		"such a subject of an access token of its own namespace":    {changes: []change{home, subject("bank.till"), accessToken}},
		"a client_id of another namespace": {[]change{claims(`{"client_id":"bank.hunter2"}`)}, []string{
			`spec.claims[client_id]: Forbidden: can be the client_id of a TokenClient, as it is two DNS labels with a dot between, and of another namespace than shop: set the claim client_id to something else, or let a rule of SigningKey bank/main that names claims.client_id allow it`,
		}},

		"a rule that says yes":  {changes: []change{rule(`claims.level == 3 && claims.iss == "https://issuer.example" && claims.aud == ["https://api.example", "b"] && claims.exp - claims.iat == 3600`)}},
		"a rule on the ID":      {changes: []change{rule(`claims.jti.matches("^[0-9a-f-]{36}$")`)}},
		"a rule on the label":   {changes: []change{rule(`namespace.labels.tier == "prod" && namespace.name == "shop"`)}},
		"a rule that says no":   {[]change{rule(`true`), rule(`claims.level == 4`)}, []string{`spec: Forbidden: SigningKey bank/main does not sign this: rule 1 refuses it: ask the bank`}},
		"a rule without claims": {[]change{rule(`claims.scope == "x"`)}, []string{`rule 0 cannot be evaluated, because there is no "scope": ask the bank`}},
		"a rule that does not compile": {[]change{rule(`claim.scope == "x"`)}, []string{
			`spec.signingKeyRef: Forbidden: SigningKey bank/main: spec.tokens.rules: rule 0: line 1, column 1: undeclared reference to 'claim'`,
		}},

		"an Authorization header": {changes: []change{template("header", "Authorization: Bearer {{ .Token }} {{ index .Audiences 1 }}")}},
		"a template that fails": {[]change{template("header", "{{ .Tokn }}")}, []string{
			`spec.secretTemplate.data[header]: Invalid value: "{{ .Tokn }}": render "header": line 1:3: at <.Tokn>: there is no .Tokn here, only .Token`,
		}},

		"a key without an issuer": {[]change{func(k *v1alpha1.SigningKey, _ *v1alpha1.ServiceToken) { k.Spec.Issuer = "" }}, []string{
			`spec.signingKeyRef: Forbidden: read issuer of SigningKey bank/main: spec.issuer is empty and the operator has no external URL to make one from`,
		}},
		"several faults at once": {[]change{claims(`{"a":"` + strings.Repeat("a", 4096) + `"}`), template("header", "{{")}, []string{
			`spec.claims: Forbidden`, `spec.secretTemplate.data[header]`,
		}},
		"two faults of policy": {[]change{subject("admin"), func(_ *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) { t.Spec.Duration.Duration = 2 * time.Hour }}, []string{
			`spec.duration`, `spec.subject`,
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			key, asked := signingKey(), serviceToken()
			for _, change := range c.changes {
				change(key, asked)
			}
			ns := spec.Namespace{Name: asked.Namespace, Labels: map[string]string{"tier": "prod"}}
			_, refused := permit.New(operator()).Check(key, ns, asked, now())
			if len(refused) != len(c.wants) {
				t.Fatalf("got %d refusals, want %d: %v", len(refused), len(c.wants), refused)
			}
			for i, want := range c.wants {
				got := refused[i].Error()
				if !strings.Contains(got, want) {
					t.Errorf("refusal %d\n got: %s\nwant: %s", i, got, want)
				}
				if strings.Contains(got, secret) {
					t.Errorf("refusal %d tells a claim: %s", i, got)
				}
			}
		})
	}
}

func TestCheckReturnsWhatWouldBeSigned(t *testing.T) {
	request, refused := permit.New(operator()).Check(signingKey(), spec.Namespace{Name: "shop"}, serviceToken(), now())
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	got := map[string]string{
		"iss": request.Issuer, "sub": request.Subject, "aud": fmt.Sprint(request.Audiences), "life": request.Duration.String(),
		"level": fmt.Sprint(request.Claims["level"]),
	}
	want := map[string]string{
		"iss": "https://issuer.example", "sub": "system:serviceaccount:shop:till", "aud": "[https://api.example b]", "life": "1h0m0s", "level": "3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckAloneNeedsNoKey(t *testing.T) {
	asked := serviceToken()
	subject("admin")(nil, asked)
	claims(`{"iss":"x"}`)(nil, asked)
	got := fmt.Sprint(permit.New(operator()).CheckAlone(asked))
	if want := `[spec.claims: Forbidden: hold the registered claim "iss"`; !strings.HasPrefix(got, want) || strings.Contains(got, "spec.subject") {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheckRules(t *testing.T) {
	key := signingKey()
	key.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: "claims."}, {Expression: "true"}, {Expression: strings.Repeat("claims.aud == ", 10) + "1 == 1"}}
	faults := permit.New(operator()).CheckRules(key)
	wants := []string{
		`spec.tokens.rules[0].expression: Invalid value: "claims.": line 1, column 8: Syntax error`,
		`spec.tokens.rules[2].expression: Invalid value: "claims.aud == claims.aud == claims.aud == claims.aud == claims.…": line 1, column`,
	}
	if len(faults) != len(wants) {
		t.Fatalf("got %v", faults)
	}
	for i, want := range wants {
		if got := faults[i].Error(); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	key.Spec.Tokens.Rules = make([]v1alpha1.TokenRule, 17)
	if got := fmt.Sprint(permit.New(operator()).CheckRules(key)); !strings.Contains(got, "spec.tokens.rules: Forbidden: 17 rules, at most 16 are allowed") {
		t.Error(got)
	}
	if faults := permit.New(operator()).CheckRules(signingKey()); faults != nil {
		t.Error(faults)
	}
}

// Each part of the token is within its own bounds.
func TestATokenIsRefusedFromTheByteOnThatCannotBeSigned(t *testing.T) {
	key, asked := signingKey(), serviceToken()
	asked.Spec.Audiences = nil
	for i := range 16 {
		asked.Spec.Audiences = append(asked.Spec.Audiences, v1alpha1.Audience(fmt.Sprintf("%d%s", i%10, strings.Repeat("a", 511))))
	}
	claims := func(length int) {
		asked.Spec.Claims = &runtime.RawExtension{Raw: []byte(`{"a":"` + strings.Repeat("x", length) + `"}`)}
	}
	checker := permit.New(operator())
	shop := spec.Namespace{Name: "shop"}
	longest := 0
	for length := range 4000 {
		claims(length)
		if _, refused := checker.Check(key, shop, asked, now()); len(refused) > 0 {
			break
		}
		longest = length
	}
	signer, err := jose.GenerateKey(jose.RS512)
	if err != nil {
		t.Fatal(err)
	}
	size := func(length int) (int, error) {
		claims(length)
		request, _ := checker.Check(key, shop, asked, now())
		payload, err := token.Encode(request.Payload("00000000-0000-4000-8000-000000000000", now()))
		if err != nil {
			t.Fatal(err)
		}
		compact, err := jose.Sign(signer, request.Type, payload)
		if err != nil {
			return 0, err
		}
		return len(compact.Reveal()), nil
	}
	if n, err := size(longest); err != nil || n > jose.MaxTokenBytes {
		t.Errorf("with %d bytes it is allowed, and signing gives %d bytes and %v", longest, n, err)
	}
	if n, err := size(longest + 1); err == nil {
		t.Errorf("with %d bytes it is refused, and signing gives %d bytes", longest+1, n)
	}
	claims(3900)
	_, refused := checker.Check(key, shop, asked, now())
	const want = "spec: Forbidden: audiences, claims, subject and the issuer of the SigningKey make a token of up to 17222 bytes, at most 16384 are allowed: " +
		"shorten spec.claims or spec.audiences"
	if diff := cmp.Diff(want, refused.ToAggregate().Error()); diff != "" {
		t.Errorf("the message (-want +got):\n%s", diff)
	}
}
