package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

func TestAPIServerRefusesSigningKeys(t *testing.T) {
	s := serveAPI(t, nil)
	cases := map[string]struct {
		change func(*v1alpha1.SigningKey)
		want   string
	}{
		"more keys than fit": {
			func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Period = lasting(2 * time.Hour) },
			`admission webhook "signingkey.keyturn.dev" denied the request: SigningKey.keyturn.dev "main" is invalid: spec.rotation.period: Invalid value: "2h0m0s": ` +
				`period 2h0m0s with maxDuration 24h0m0s would publish`,
		},
		"a period below the floor": {func(k *v1alpha1.SigningKey) {
			k.Spec.Rotation = v1alpha1.RotationSpec{Period: lasting(299 * time.Second), VerifierCacheDuration: lasting(0), PropagationDelay: lasting(0), ClockSkew: lasting(0)}
			k.Spec.Tokens.MaxDuration = lasting(5 * time.Minute)
		}, `spec.rotation.period: Invalid value: "4m59s": must be at least 5m0s, the operator's --minimum-duration: lengthen it`},
		"a longest token below the floor": {
			func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(299 * time.Second) },
			`spec.tokens.maxDuration: Invalid value: "4m59s": must be at least 5m0s, the operator's --minimum-duration: lengthen it`,
		},
		"no issuer": {
			func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "" },
			`spec.issuer: Required value: spec.issuer is empty and the operator has no external URL`,
		},
		"a rule that does not compile": {
			func(k *v1alpha1.SigningKey) {
				k.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: "claim.aud == 1"}}
			},
			`spec.tokens.rules[0].expression: Invalid value: "claim.aud == 1": line 1, column 1: undeclared reference to 'claim'`,
		},
	}
	for name, c := range cases {
		s.refused(name, s.tries(signingKey(s.bank, "main", c.change)), c.want)
	}

	key := signingKey(s.bank, "main")
	s.issued(key)
	s.refused("a fault that an update brings in", patches(s, key, func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Period = lasting(2 * time.Hour) }, client.DryRunAll),
		`spec.rotation.period: Invalid value: "2h0m0s"`)
	s.warned("an issuer that is taken", s.tries(signingKey(s.shop, "main", func(k *v1alpha1.SigningKey) { k.Spec.Issuer = key.Spec.Issuer })),
		fmt.Sprintf("spec.issuer: SigningKey %s/main claims the same issuer and is older", s.bank))
	s.allowed("a ServiceToken", func() error {
		return s.admin.Create(t.Context(), serviceToken(s.shop, "till", key, living(12*time.Hour)))
	})
	s.warned("a shorter longest token", patches(s, key, func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(6 * time.Hour) }, client.DryRunAll),
		fmt.Sprintf("spec.tokens.maxDuration: 1 ServiceToken asks for more than 6h0m0s and will not be issued again: %s/till", s.shop))
}

func TestAPIServerRefusesDeletionOfAKeyInUse(t *testing.T) {
	s := serveAPI(t, nil)
	key := signingKey(s.bank, "main")
	r := s.issued(key)
	s.holds("a", key, r.sign(t, key.Spec.Issuer, time.Hour))
	s.holds("b", key, r.sign(t, key.Spec.Issuer, 3*time.Hour))
	s.holds("expired", key, r.sign(t, key.Spec.Issuer, -time.Hour))
	s.refused("a deletion", s.deletes(key), fmt.Sprintf(`admission webhook "signingkey.keyturn.dev" denied the request: signingkeys.keyturn.dev "main" is forbidden: `+
		`2 ServiceTokens hold a live token that nobody could verify any more (%[1]s/a, %[1]s/b), the last until 2026-01-02T06:00:00Z: `+
		`delete what uses them or wait, or annotate the SigningKey with keyturn.dev/force-delete=true`, s.shop))

	s.must(s.clientOf("system:serviceaccount:kube-system:namespace-controller").Delete(t.Context(), key, client.DryRunAll))
	s.must(s.clientOf("system:serviceaccount:kube-system:generic-garbage-collector").Delete(t.Context(), key, client.DryRunAll))

	s.must(patches(s, key, func(k *v1alpha1.SigningKey) {
		k.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "true"}
	})())
	s.must(s.deletes(key)())
	s.must(patches(s, key, func(k *v1alpha1.SigningKey) { k.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "no"} })())
	s.refused("a deletion that is not forced", s.deletes(key), "2 ServiceTokens hold a live token")

	for _, name := range []string{"a", "b"} {
		s.must(s.admin.Delete(t.Context(), &v1alpha1.ServiceToken{ObjectMeta: metav1.ObjectMeta{Namespace: s.shop, Name: name}}))
	}
	// At once: the webhook asks the API server before it refuses.
	s.must(s.deletes(key)())

	s.holds("c", key, r.sign(t, key.Spec.Issuer, time.Hour))
	s.refused("a deletion once more", s.deletes(key), fmt.Sprintf("1 ServiceToken holds a live token that nobody could verify any more (%s/c), the last until 2026-01-02T04:00:00Z", s.shop))
	s.must(s.admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.bank}}))
	s.must(s.admin.Delete(t.Context(), key))
}

func TestAPIServerRefusesServiceTokens(t *testing.T) {
	s := serveAPI(t, map[string]string{"tier": "test"})
	open := signingKey(s.bank, "open", func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(2 * time.Hour) })
	closed := signingKey(s.bank, "closed", func(k *v1alpha1.SigningKey) { k.Spec.Tokens.AllowedNamespaces = v1alpha1.AllowedNamespaces{} })
	ruled := signingKey(s.bank, "ruled", func(k *v1alpha1.SigningKey) {
		k.Spec.Tokens.Rules = []v1alpha1.TokenRule{
			{Expression: `namespace.labels["tier"] == "prod" || claims.sub == "ci"`, Message: "only production, and ci"},
			{Expression: `has(claims.team)`},
		}
	})
	for _, key := range []*v1alpha1.SigningKey{open, closed, ruled} {
		s.allowed("create a SigningKey", func() error { return s.admin.Create(t.Context(), key) })
	}
	claims := func(raw string) func(*v1alpha1.ServiceToken) {
		return func(t *v1alpha1.ServiceToken) { t.Spec.Claims = &runtime.RawExtension{Raw: []byte(raw)} }
	}
	subject := func(text string) func(*v1alpha1.ServiceToken) {
		return func(t *v1alpha1.ServiceToken) { t.Spec.ServiceAccountName, t.Spec.Subject = "", text }
	}
	template := func(text string) func(*v1alpha1.ServiceToken) {
		return func(t *v1alpha1.ServiceToken) {
			t.Spec.SecretTemplate = &v1alpha1.SecretTemplate{Data: map[string]v1alpha1.TemplateText{"header": v1alpha1.TemplateText(text)}}
		}
	}
	cases := map[string]struct {
		key    *v1alpha1.SigningKey
		change []func(*v1alpha1.ServiceToken)
		want   string
	}{
		"an end in the past": {
			open,
			[]func(*v1alpha1.ServiceToken){ending(today().Add(-time.Hour))},
			`admission webhook "servicetoken.keyturn.dev" denied the request: ServiceToken.keyturn.dev "till" is invalid: spec.expiresAt: Invalid value: "2026-01-02T02:00:00Z": ` +
				`must be in the future, and it is 2026-01-02T03:00:00Z: to end the token now, delete the ServiceToken`,
		},
		"a duration over the key's": {
			open,
			[]func(*v1alpha1.ServiceToken){living(3 * time.Hour)},
			`spec.duration: Invalid value: "3h0m0s": must be at most 2h0m0s, spec.tokens.maxDuration of SigningKey ` + s.bank + `/open: shorten it, or raise that`,
		},
		"a duration below the floor": {
			open,
			[]func(*v1alpha1.ServiceToken){living(time.Minute)},
			`spec.duration: Invalid value: "1m0s": must be at least 5m0s, the operator's --minimum-duration: lengthen it`,
		},
		"renewal that leaves no time": {
			open,
			[]func(*v1alpha1.ServiceToken){renewed(59 * time.Minute)},
			`spec.renewBefore: Invalid value: "59m0s": leaves 1m0s between renewals of a token that lives 1h0m0s: must be at most 54m0s, nine tenths of spec.duration`,
		},
		"a namespace that the key does not allow": {
			closed, nil,
			`spec.signingKeyRef.namespace: Forbidden: SigningKey ` + s.bank + `/closed does not sign for namespace ` + s.shop + `: use a key that does, or let its owner allow it in spec.tokens.allowedNamespaces`,
		},
		"a rule that says no": {
			ruled,
			[]func(*v1alpha1.ServiceToken){claims(`{"team":"x"}`)},
			`spec: Forbidden: SigningKey ` + s.bank + `/ruled does not sign this: rule 0 refuses it: only production, and ci`,
		},
		"a rule that cannot be evaluated": {
			ruled,
			[]func(*v1alpha1.ServiceToken){subject("ci")},
			`rule 1 refuses it: has(claims.team)`,
		},
		"a registered claim": {
			open,
			[]func(*v1alpha1.ServiceToken){claims(`{"exp":1}`)},
			`spec.claims: Forbidden: hold the registered claim "exp"`,
		},
		"claims that are too long": {
			open,
			[]func(*v1alpha1.ServiceToken){claims(`{"a":"` + strings.Repeat("a", 4096) + `"}`)},
			`spec.claims: Forbidden: are 4104 bytes of JSON, at most 4096 are allowed: remove claims or shorten them`,
		},
		"claims of a mebibyte": {
			open,
			[]func(*v1alpha1.ServiceToken){claims(`{"a":"` + strings.Repeat("a", 1<<20) + `"}`)},
			`spec.claims: Forbidden: are 1048584 bytes of JSON, at most 4096 are allowed`,
		},
		"another namespace's subject": {
			open,
			[]func(*v1alpha1.ServiceToken){subject("system:serviceaccount:" + s.bank + ":vault")},
			`spec.subject: Invalid value: "system:serviceaccount:` + s.bank + `:vault": names no ServiceAccount of namespace ` + s.shop,
		},
		"a client_id of another namespace's TokenClient": {
			open,
			[]func(*v1alpha1.ServiceToken){claims(`{"client_id":"` + s.bank + `.till"}`)},
			`spec.claims[client_id]: Forbidden: can be the client_id of a TokenClient, as it is two DNS labels with a dot between, and of another namespace than ` + s.shop,
		},
		"a free subject from another namespace": {
			open,
			[]func(*v1alpha1.ServiceToken){subject("admin")},
			`spec.subject: Invalid value: "admin": must be a ServiceAccount of namespace ` + s.shop + `, because SigningKey ` + s.bank + `/open is in another namespace: use spec.serviceAccountName, or let a rule of the key that names claims.sub allow it`,
		},
		"a template that cannot be rendered": {
			open,
			[]func(*v1alpha1.ServiceToken){template("{{ .Tokn }}")},
			`spec.secretTemplate.data[header]: Invalid value: "{{ .Tokn }}": render "header": line 1:3: at <.Tokn>: there is no .Tokn here`,
		},
		"a template that runs on and on": {
			open,
			[]func(*v1alpha1.ServiceToken){template("{{ range 1000000000 }}x{{ end }}")},
			`range is permitted over .Audiences only`,
		},
	}
	for name, c := range cases {
		s.refused(name, s.tries(serviceToken(s.shop, "till", c.key, c.change...)), c.want)
	}
	s.allowed("a free subject that a rule names", s.tries(serviceToken(s.shop, "ci", ruled, subject("ci"), claims(`{"team":"x"}`))))
	s.warned("a key that is not there", s.tries(serviceToken(s.shop, "early", signingKey(s.bank, "later"))),
		"spec.signingKeyRef: there is no SigningKey "+s.bank+"/later yet, so nothing is issued until it is there")

	asked := serviceToken(s.shop, "till", open)
	s.must(s.admin.Create(t.Context(), asked))
	s.refused("a fault that an update brings in", patches(s, asked, living(3*time.Hour), client.DryRunAll), `spec.duration: Invalid value: "3h0m0s"`)
}

func TestAPIServerRefusesSecrets(t *testing.T) {
	s := serveAPI(t, nil)
	key := signingKey(s.bank, "main")
	r := s.issued(key)
	stranger := newRing(t, key)
	gone := signingKey(s.bank, "gone")
	lost := s.issued(gone)
	kid := lost.keys.Ring().Keys[0].ID
	s.must(patches(s, gone, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(kid)} })())
	soft := suite.Namespace(t, map[string]string{v1alpha1.LabelExpiredCredentials: "warn"})

	labelled := tokenSecret("", "copy", r.sign(t, key.Spec.Issuer, -time.Hour))
	labelled.Type, labelled.Labels = corev1.SecretTypeOpaque, map[string]string{v1alpha1.LabelToken: ""}
	empty := tokenSecret("", "copy", "")
	empty.Data = nil
	cases := map[string]struct {
		secret *corev1.Secret
		want   string
	}{
		"an expired token": {
			tokenSecret("", "copy", r.sign(t, key.Spec.Issuer, -time.Hour)),
			`data[token]: Forbidden: the token expired at 2026-01-02T02:00:00Z, 60m ago: put a valid one there, or label the namespace keyturn.dev/expired-credentials=warn while a backup is restored`,
		},
		"an expired token in a Secret with the label": {labelled, `the token expired at 2026-01-02T02:00:00Z`},
		"a token that does not parse":                 {tokenSecret("", "copy", "garbage"), `the token is not a JSON Web Token (RFC 7519): it must have three parts with a dot between them`},
		"a token of a key that is unknown":            {tokenSecret("", "copy", stranger.sign(t, key.Spec.Issuer, time.Hour)), `the token has the issuer of SigningKey ` + s.bank + `/main, and none of its keys verifies it: verify token: key not in the key set`},
		"a token of a key that is revoked":            {tokenSecret("", "copy", lost.sign(t, gone.Spec.Issuer, time.Hour)), `the token was signed by key ` + kid + ` of SigningKey ` + s.bank + `/gone, which is revoked`},
		"no token at all":                             {empty, `data[token]: Required value: a Secret of type keyturn.dev/token, or with the label keyturn.dev/token, holds a token under this key`},
	}
	for name, c := range cases {
		c.secret.Namespace = s.shop
		s.refused(name, s.tries(c.secret), c.want)
		c.secret.Namespace = soft
		s.warned(name+", where that is a warning", s.tries(c.secret), c.want)
	}

	good := tokenSecret(s.shop, "good", r.sign(t, key.Spec.Issuer, time.Hour))
	s.allowed("a valid token", func() error { return s.admin.Create(t.Context(), good) })
	s.refused("a token that an update brings in", patches(s, good, func(k *corev1.Secret) { k.Data["token"] = []byte("garbage") }, client.DryRunAll),
		`admission webhook "secret.keyturn.dev" denied the request: Secret "good" is invalid: data[token]: Forbidden: the token is not a JSON Web Token`)

	t.Run("nothing else travels to the webhook", func(t *testing.T) {
		before := s.served(webhook.PathSecret)
		plain := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.shop, Name: "plain"}, Data: map[string][]byte{"token": []byte("garbage")}}
		s.must(s.admin.Create(t.Context(), plain))
		s.must(patches(s, plain, func(k *corev1.Secret) { k.Data["token"] = []byte("other") })())
		s.must(patches(s, good, func(k *corev1.Secret) { k.Labels = map[string]string{"a": "b"} })())
		s.must(patches(s, good, func(k *corev1.Secret) { k.Data["header"] = []byte("x") })())
		written := ours(tokenSecret(s.shop, "written", "garbage"))
		s.must(s.operator.Create(t.Context(), written))
		if asked := s.served(webhook.PathSecret) - before; asked != 0 {
			t.Errorf("%v requests came to the webhook", asked)
		}
	})
}

func TestAPIServerRefusesPods(t *testing.T) {
	s := serveAPI(t, map[string]string{v1alpha1.LabelVerifyPods: "enabled"})
	key := signingKey(s.bank, "main")
	r := s.issued(key)
	gone := signingKey(s.bank, "gone")
	lost := s.issued(gone)
	kid := lost.keys.Ring().Keys[0].ID
	s.must(patches(s, gone, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(kid)} })())
	for _, secret := range []*corev1.Secret{
		ours(tokenSecret(s.shop, "good", r.sign(t, key.Spec.Issuer, time.Hour))),
		ours(tokenSecret(s.shop, "stale", r.sign(t, key.Spec.Issuer, -time.Hour))),
		ours(tokenSecret(s.shop, "revoked", lost.sign(t, gone.Spec.Issuer, time.Hour))),
		tokenSecret(s.shop, "copy", r.sign(t, key.Spec.Issuer, -time.Hour)),
	} {
		s.must(s.operator.Create(t.Context(), secret))
	}
	start := func(namespace string, secrets ...string) func() error {
		p := mounting(secrets...)
		p.Namespace, p.Spec.Containers[0].Image = namespace, "image"
		return s.tries(p)
	}
	const stale = `spec.volumes[0].secret.secretName: Forbidden: the token in Secret stale expired at 2026-01-02T02:00:00Z, 60m ago: ` +
		`put a valid one there, or label the namespace keyturn.dev/expired-credentials=warn while a backup is restored`
	s.refused("an expired token", start(s.shop, "stale"), `admission webhook "pod.keyturn.dev" denied the request: Pod "till-`)
	s.refused("an expired token", start(s.shop, "stale"), stale)
	s.refused("a revoked token", start(s.shop, "good", "revoked"), `spec.volumes[1].secret.secretName: Forbidden: the token in Secret revoked was signed by key `+kid+` of SigningKey `+s.bank+`/gone, which is revoked`)
	s.refused("a copy without Keyturn's label", start(s.shop, "copy"), `the token in Secret copy expired at`)
	s.must(start(s.shop, "good", "absent")())

	elsewhere := suite.Namespace(t, nil)
	s.must(s.operator.Create(t.Context(), ours(tokenSecret(elsewhere, "stale", r.sign(t, key.Spec.Issuer, -time.Hour)))))
	s.must(start(elsewhere, "stale")())

	s.must(s.admin.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.shop}},
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"keyturn.dev/expired-credentials":"warn"}}}`))))
	s.warned("an expired token where that is a warning", start(s.shop, "stale"), stale)
}

// TestAPIServerWithoutWebhooks: what must go on while the operator is down goes on.
func TestAPIServerWithoutWebhooks(t *testing.T) {
	s := serveAPI(t, map[string]string{v1alpha1.LabelVerifyPods: "enabled"})
	key := signingKey(s.bank, "main", func(k *v1alpha1.SigningKey) { k.Finalizers = []string{"example.com/keep"} })
	r := s.issued(key)
	asked := s.holds("till", key, r.sign(t, key.Spec.Issuer, time.Hour))
	copied := tokenSecret(s.shop, "copy", r.sign(t, key.Spec.Issuer, time.Hour))
	s.allowed("a valid token", func() error { return s.admin.Create(t.Context(), copied) })
	s.stop()

	const down = "failed calling webhook"
	s.refused("a new key", s.tries(signingKey(s.bank, "other")), down)
	s.refused("a new spec", patches(s, key, func(k *v1alpha1.SigningKey) { k.Spec.Algorithm = "EdDSA" }, client.DryRunAll), down)
	s.refused("a new ServiceToken", s.tries(serviceToken(s.shop, "other", key)), down)
	s.refused("a new token", s.tries(tokenSecret(s.shop, "other", "x")), down)
	s.refused("a deletion", s.deletes(key), down)

	label := map[string]string{"a": "b"}
	s.must(patches(s, asked, func(k *v1alpha1.ServiceToken) { k.Labels = label })())
	s.must(patches(s, copied, func(k *corev1.Secret) { k.Labels = label })())
	s.must(s.admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.shop, Name: "plain"}}))
	s.must(s.operator.Create(t.Context(), ours(tokenSecret(s.shop, "written", "x"))))
	s.must(s.tries(tokenSecret("kube-system", "needed", "x"))())
	p := mounting("copy")
	p.Namespace, p.Spec.Containers[0].Image = s.shop, "image"
	s.must(s.tries(p)())
	s.must(s.admin.Delete(t.Context(), asked))

	s.must(s.clientOf("system:serviceaccount:kube-system:namespace-controller").Delete(t.Context(), key, client.DryRunAll))
	s.must(patches(s, key, func(k *v1alpha1.SigningKey) {
		k.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "true"}
	})())
	s.must(s.admin.Delete(t.Context(), key))
	s.must(patches(s, key, func(k *v1alpha1.SigningKey) { k.Finalizers = nil })())
}

func TestAPIServerRefusesTokenClients(t *testing.T) {
	s := serveAPI(t, map[string]string{"tier": "test"})
	open := signingKey(s.bank, "open", func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(2 * time.Hour) })
	closed := signingKey(s.bank, "closed", func(k *v1alpha1.SigningKey) { k.Spec.Tokens.AllowedNamespaces = v1alpha1.AllowedNamespaces{} })
	ruled := signingKey(s.bank, "ruled", func(k *v1alpha1.SigningKey) {
		k.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: `namespace.labels["tier"] == "prod"`, Message: "only production"}}
	})
	for _, key := range []*v1alpha1.SigningKey{open, closed, ruled} {
		s.allowed("create a SigningKey", func() error { return s.admin.Create(t.Context(), key) })
	}
	byKeys := func(jwks string) func(*v1alpha1.TokenClient) {
		return func(c *v1alpha1.TokenClient) {
			c.Spec.Authentication = v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKS: jwks}}
		}
	}
	cases := map[string]struct {
		key    *v1alpha1.SigningKey
		change func(*v1alpha1.TokenClient)
		want   string
	}{
		"a life over the key's": {
			open, accessing(3 * time.Hour),
			`admission webhook "tokenclient.keyturn.dev" denied the request: TokenClient.keyturn.dev "till" is invalid: spec.accessTokenDuration: Invalid value: "3h0m0s": ` +
				`must be at most 2h0m0s, spec.tokens.maxDuration of SigningKey ` + s.bank + `/open: shorten it, or raise that`,
		},
		"a life below the floor":       {open, accessing(time.Minute), `must be at least 5m0s, the operator's --minimum-duration: lengthen it`},
		"a claim that Keyturn sets":    {open, claiming("act", "1"), `spec.claims[0].name: Invalid value: "act": Keyturn sets the claim "act": remove it`},
		"an expression that is none":   {open, claiming("team", "clients.id"), `spec.claims[0].expression: Invalid value: "clients.id": line 1, column 1: undeclared reference to 'clients'`},
		"a key that is private":        {open, byKeys(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA","kid":"a"}]}`), `spec.authentication.privateKeyJWT.jwks: Forbidden: must be a JWK Set (RFC 7517) of 1 to 16 public keys, each with a kid of its own: keys[0]: key not usable: member d does not belong`},
		"a namespace that may not ask": {closed, accessing(time.Hour), `does not sign for namespace ` + s.shop},
		"a rule that says no":          {ruled, accessing(time.Hour), `does not sign this: rule 0 refuses it: only production`},
	}
	for name, c := range cases {
		s.refused(name, s.tries(tokenClient(s.shop, "till", c.key, c.change)), c.want)
	}
	s.warned("a key that is not there", s.tries(tokenClient(s.shop, "till", signingKey(s.bank, "later"))),
		fmt.Sprintf("spec.signingKeyRef: there is no SigningKey %s/later yet, so nothing is issued until it is there", s.bank))

	asking := tokenClient(s.shop, "till", open, accessing(time.Hour))
	s.allowed("a TokenClient", func() error { return s.admin.Create(t.Context(), asking) })
	s.must(patches(s, open, func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(30 * time.Minute) })())
	s.refused("another spec that is as faulty", patches(s, asking, func(c *v1alpha1.TokenClient) { c.Spec.Scopes = []v1alpha1.Scope{"a"} }, client.DryRunAll), "must be at most 30m0s")
	before := s.served(webhook.PathTokenClient)
	s.must(patches(s, asking, func(c *v1alpha1.TokenClient) {
		c.Finalizers, c.Labels = []string{"example.com/x"}, map[string]string{"a": "b"}
	})())
	s.must(patches(s, asking, func(c *v1alpha1.TokenClient) { c.Finalizers = nil }, client.DryRunAll)())
	if after := s.served(webhook.PathTokenClient); after != before {
		t.Errorf("the API server asked %v times about metadata", after-before)
	}
	// So that the namespace can end.
	s.must(patches(s, asking, func(c *v1alpha1.TokenClient) { c.Finalizers = nil })())
}

func TestAPIServerRefusesTokenRevocations(t *testing.T) {
	s := serveAPI(t, nil)
	key := signingKey(s.bank, "main")
	s.issued(key)
	here := func(r *v1alpha1.TokenRevocation) { r.Namespace = s.bank }
	s.refused("the future", s.tries(tokenRevocation(here, before(today().Add(time.Hour)))),
		`admission webhook "tokenrevocation.keyturn.dev" denied the request: TokenRevocation.keyturn.dev "till" is invalid: spec.issuedBefore: Invalid value: "2026-01-02T04:00:00Z": must be at most 1m0s`)
	s.warned("a key that nobody knows", s.tries(tokenRevocation(here, byKeyID(strings.Repeat("x", 43)))), "publishes no key")
	s.warned("a SigningKey that is not there", s.tries(tokenRevocation(here, func(r *v1alpha1.TokenRevocation) { r.Spec.SigningKeyName = "later" })),
		"spec.signingKeyName: there is no SigningKey "+s.bank+"/later yet, so nothing is taken back until it is there")

	revocation := tokenRevocation(here)
	s.must(s.admin.Create(t.Context(), revocation))
	s.must(s.deletes(revocation)())
	revocation.Status.ExpiresAt = &metav1.Time{Time: today().Add(time.Hour)}
	s.must(s.operator.Status().Update(t.Context(), revocation))
	s.refused("a deletion", s.deletes(revocation), `admission webhook "tokenrevocation.keyturn.dev" denied the request: tokenrevocations.keyturn.dev "till" is forbidden: `+
		`tokens that it takes back would be accepted again, the last until 2026-01-02T04:00:00Z: wait, or annotate the TokenRevocation with keyturn.dev/force-delete=true`)
	s.must(s.clientOf("system:serviceaccount:kube-system:namespace-controller").Delete(t.Context(), revocation, client.DryRunAll))
	s.must(patches(s, revocation, func(r *v1alpha1.TokenRevocation) {
		r.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "true"}
	})())
	s.must(s.deletes(revocation)())
	s.must(patches(s, revocation, func(r *v1alpha1.TokenRevocation) {
		r.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "no"}
	})())
	s.refused("a deletion that is not forced", s.deletes(revocation), "would be accepted again")
	s.must(s.admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.bank}}))
	s.must(s.admin.Delete(t.Context(), revocation))
}

func TestAPIServerRefusesTokenPolicies(t *testing.T) {
	s := serveAPI(t, nil)
	key := signingKey(s.bank, "main")
	s.allowed("create a SigningKey", func() error { return s.admin.Create(t.Context(), key) })
	here := func(change ...func(*v1alpha1.TokenPolicySpec)) *v1alpha1.TokenPolicy {
		p := tokenPolicy(key, change...)
		p.Namespace = s.shop
		return p
	}
	s.allowed("a TokenPolicy", s.tries(here(ruling(`request.path.startsWith("/v1/") && "admin" in claims.roles`), headers("X-User"))))
	const denied = `admission webhook "tokenpolicy.keyturn.dev" denied the request: TokenPolicy.keyturn.dev "api" is invalid: `
	for name, c := range map[string]struct {
		change func(*v1alpha1.TokenPolicySpec)
		want   string
	}{
		"a rule that does not compile": {
			ruling("request.uri == ''"),
			denied + `spec.rules[0].expression: Invalid value: "request.uri == ''": line 1, column 8: undefined field 'uri'`,
		},
		"an issuer that is there already": {
			elsewhere(v1alpha1.ExternalIssuer{Issuer: key.Spec.Issuer}),
			`spec.issuers[1].external.issuer: Forbidden: issuer "` + key.Spec.Issuer + `" is there already`,
		},
		"an issuer by http": {
			elsewhere(v1alpha1.ExternalIssuer{Issuer: "http://else.example"}),
			`spec.issuers[1].external.issuer: Invalid value: "http://else.example": must be an https URL`,
		},
		"a header that is there twice": {headers("X-User", "x-user"), `spec.headers[1].name: Duplicate value: "x-user"`},
	} {
		s.refused(name, s.tries(here(c.change)), c.want)
	}
	s.warned("a key that is not there", s.tries(here(keyRef(s.bank, "later"))), "spec.issuers[1].signingKeyRef: there is no SigningKey "+s.bank+"/later yet, so no token of it is accepted until it is there")
}
