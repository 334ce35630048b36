package webhook_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// foreign makes a token of an algorithm and with claims of somebody else.
func foreign(header, payload string) string {
	return encode(header) + "." + encode(payload) + "." + encode("signature")
}

func TestSecretTokens(t *testing.T) {
	key := signingKey("bank", "main")
	issuer := key.Spec.Issuer
	ours, stranger := newRing(t, key), newRing(t, key)
	kid := ours.keys.Ring().Keys[0].ID
	const hs256 = `{"alg":"HS256"}`
	cases := map[string]struct{ compact, want string }{
		"a token of ours":                        {ours.sign(t, issuer, time.Hour), ""},
		"a token of ours that expires now":       {ours.sign(t, issuer, 0), `data[token]: Forbidden: the token expired at 2026-01-02T03:00:00Z, 0s ago: put a valid one there, or label the namespace keyturn.dev/expired-credentials=warn while a backup is restored`},
		"a token of ours that has expired":       {ours.sign(t, issuer, -3*time.Hour), `the token expired at 2026-01-02T00:00:00Z, 3h ago`},
		"a token of our issuer by another key":   {stranger.sign(t, issuer, time.Hour), `the token has the issuer of SigningKey bank/main, and none of its keys verifies it: verify token: key not in the key set`},
		"a token of ours with another signature": {ours.sign(t, issuer, time.Hour)[:100] + stranger.sign(t, issuer, time.Hour)[100:], `SigningKey bank/main`},
		"a token of our issuer by a symmetric algorithm": {
			foreign(`{"alg":"HS256","kid":"`+kid+`"}`, `{"iss":"`+issuer+`"}`),
			`the token has the issuer of SigningKey bank/main and cannot be from it: parse token: header alg: parse algorithm: algorithm not permitted`,
		},
		"a token of our issuer without an algorithm": {foreign(`{"alg":"none","kid":"`+kid+`"}`, `{"iss":"`+issuer+`"}`), `algorithm not permitted`},
		"a token of our issuer without a kid":        {foreign(`{"alg":"ES256"}`, `{"iss":"`+issuer+`"}`), `kid must name the key`},

		"a foreign token":                      {stranger.sign(t, "https://elsewhere.example", time.Hour), ""},
		"a foreign token that has expired":     {stranger.sign(t, "https://elsewhere.example", -time.Hour), `the token expired at 2026-01-02T02:00:00Z, 60m ago`},
		"a foreign token of another algorithm": {foreign(hs256, `{"iss":"https://elsewhere.example","exp":1767326400}`), ""},
		"a foreign token that never expires":   {foreign(hs256, `{"iss":"https://elsewhere.example"}`), ""},
		"a token without an issuer":            {foreign(hs256, `{"exp":1767326400.5}`), ""},
		"a token that expired at the epoch":    {foreign(hs256, `{"exp":0}`), `the token expired at 1970-01-01T00:00:00Z`},

		"an empty entry":                      {"", `the token is not a JSON Web Token (RFC 7519): it must have three parts with a dot between them: put a valid one there`},
		"a word":                              {"hunter2", `it must have three parts`},
		"a token with a line break behind it": {ours.sign(t, issuer, time.Hour) + "\n", `there is white space around it: remove it`},
		"a token that is encrypted":           {"a.b.c.d.e", `it must have three parts`},
		"a token with padding":                {"e30=.e30.e30", `its header is not base64url without padding`},
		"a token with a line break in it":     {"e30." + encode(`{}`)[:1] + "\n" + encode(`{}`)[1:] + ".e30", `its payload is not base64url without padding`},
		"a payload that ends in stray bits":   {"e30.e31.e30", `its payload is not base64url without padding`},
		"a signature that is none":            {"e30.e30.%", `its signature is not base64url without padding`},
		"a header that is no object":          {encode(`[]`) + ".e30.e30", `its header is not a JSON object`},
		"a payload that is null":              {"e30." + encode(`null`) + ".e30", `its payload is not a JSON object`},
		"a payload that is not JSON":          {"e30." + encode(`hunter2`) + ".e30", `its payload is not a JSON object`},
		"an issuer that is a number":          {foreign(hs256, `{"iss":1}`), `its claim "iss" is not a string`},
		"an expiry that is a string":          {foreign(hs256, `{"exp":"1767326400"}`), `its claim "exp" is not a number of seconds since 1970 and before the year 10000`},
		"an expiry in the year 10000":         {foreign(hs256, `{"exp":253402300800}`), `before the year 10000`},
		"an expiry before 1970":               {foreign(hs256, `{"exp":-1}`), `since 1970`},
		"a token of a mebibyte":               {strings.Repeat("a", 1<<20), `it is longer than 16384 bytes`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			secret := tokenSecret("shop", "till", c.compact)
			begin(t, key, ours.secret, namespace("shop", nil)).check(request{path: webhook.PathSecret, new: secret}, c.want)
			var warnings []string
			if c.want != "" {
				warnings = []string{c.want}
			}
			begin(t, key, ours.secret, lenient("shop")).check(request{path: webhook.PathSecret, new: secret}, "", warnings...)
		})
	}
}

func TestSecretsOfRevokedKeys(t *testing.T) {
	key := signingKey("bank", "main")
	ours := newRing(t, key)
	kid := ours.keys.Ring().Keys[0].ID
	key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(kid)}
	secret := tokenSecret("shop", "till", ours.sign(t, key.Spec.Issuer, -time.Hour))
	begin(t, key, ours.secret, namespace("shop", nil)).check(request{path: webhook.PathSecret, new: secret},
		"the token was signed by key "+kid+" of SigningKey bank/main, which is revoked: put a valid one there")
}

func TestSecretsWithoutARing(t *testing.T) {
	key := signingKey("bank", "main")
	ours := newRing(t, key)
	secret := tokenSecret("shop", "till", ours.sign(t, key.Spec.Issuer, time.Hour))
	want := "the token has the issuer of SigningKey bank/main, which has no key yet that could have signed it: wait until the SigningKey is Ready"
	begin(t, key, namespace("shop", nil)).check(request{path: webhook.PathSecret, new: secret}, want)

	planted := ours.secret.DeepCopy()
	planted.OwnerReferences, planted.Labels = nil, nil
	begin(t, key, planted, namespace("shop", nil)).check(request{path: webhook.PathSecret, new: secret}, want)
}

// A key signs at once where it is the first, or follows one that was revoked: the token can be known before the key is.
func TestSecretsOfAKeyThatTheCacheDoesNotShowYet(t *testing.T) {
	key, ns := signingKey("bank", "main"), namespace("shop", nil)
	former, ours := newRing(t, key), newRing(t, key)
	ours.secret.ResourceVersion = "1000"
	secret := tokenSecret("shop", "till", ours.sign(t, key.Spec.Issuer, time.Hour))
	for name, cached := range map[string]client.Client{
		"the first key": cluster(key, ns), "a key that follows another": cluster(key, ns, former.secret),
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, cached, cluster(key, ns, ours.secret)).check(request{path: webhook.PathSecret, new: secret}, "")
		})
	}
}

func TestSecretsOfAContestedIssuer(t *testing.T) {
	older, younger := signingKey("bank", "main"), signingKey("thief", "main")
	younger.Spec.Issuer, younger.UID = older.Spec.Issuer, "other-uid"
	older.CreationTimestamp.Time, younger.CreationTimestamp.Time = today().Add(-2*time.Hour), today().Add(-time.Hour)
	honest, forged := newRing(t, older), newRing(t, younger)
	a := begin(t, older, younger, honest.secret, forged.secret, namespace("shop", nil))
	a.check(request{path: webhook.PathSecret, new: tokenSecret("shop", "till", honest.sign(t, older.Spec.Issuer, time.Hour))}, "")
	a.check(request{path: webhook.PathSecret, new: tokenSecret("shop", "till", forged.sign(t, older.Spec.Issuer, time.Hour))},
		"the token has the issuer of SigningKey bank/main, and none of its keys verifies it")
}

func TestSecretUpdates(t *testing.T) {
	bad, other := tokenSecret("shop", "till", "bad"), tokenSecret("shop", "till", "worse")
	labelled := bad.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	extended := bad.DeepCopy()
	extended.Data["header"] = []byte("x")
	withdrawn := bad.DeepCopy()
	delete(withdrawn.Data, v1alpha1.SecretKeyToken)
	plain := &corev1.Secret{ObjectMeta: bad.ObjectMeta, Type: corev1.SecretTypeOpaque, Data: bad.Data}
	marked := plain.DeepCopy()
	marked.Labels = map[string]string{v1alpha1.LabelToken: ""}
	unmarked := plain.DeepCopy()
	unmarked.Data = other.Data
	markedAnew := marked.DeepCopy()
	markedAnew.Data = other.Data

	cases := map[string]struct {
		old, new *corev1.Secret
		want     string
	}{
		"another token":                        {bad, other, "is not a JSON Web Token"},
		"metadata alone":                       {bad, labelled, ""},
		"another entry":                        {bad, extended, ""},
		"the token is taken away":              {bad, withdrawn, ""},
		"the token comes back":                 {withdrawn, other, "is not a JSON Web Token"},
		"a Secret that gets the label":         {plain, marked, ""},
		"a Secret that gets label and token":   {plain, markedAnew, "is not a JSON Web Token"},
		"a Secret that holds no token of ours": {plain, unmarked, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			begin(t, namespace("shop", nil)).check(request{path: webhook.PathSecret, old: c.old, new: c.new}, c.want)
		})
	}
	begin(t, namespace("shop", nil)).check(request{path: webhook.PathSecret, new: withdrawn},
		"data[token]: Required value: a Secret of type keyturn.dev/token, or with the label keyturn.dev/token, holds a token under this key")
}

func TestSecretRefusalsTellNothing(t *testing.T) {
	key := signingKey("bank", "main")
	ours := newRing(t, key)
	a := begin(t, key, ours.secret, namespace("shop", nil))
	for _, compact := range []string{
		foreign(`{"alg":"hunter2"}`, `{"iss":"`+key.Spec.Issuer+`"}`), foreign(`{"alg":"ES256","kid":"hunter2"}`, `{"iss":"`+key.Spec.Issuer+`"}`),
		foreign(`{}`, `{"exp":"hunter2"}`), foreign(`{}`, `{"hunter2"}`), "hunter2", "hunter2.hunter2.hunter2",
		foreign(`{"alg":"ES256","kid":"x","typ":["hunter2"]}`, `{"iss":"`+key.Spec.Issuer+`"}`),
		foreign(`{"alg":"ES256","kid":"x"}`, `{"iss":"`+key.Spec.Issuer+`","iat":"hunter2"}`),
	} {
		got := a.ask(request{path: webhook.PathSecret, new: tokenSecret("shop", "till", compact)})
		if got.Allowed || strings.Contains(got.Result.Message, "hunter2") {
			t.Errorf("allowed=%v: %s", got.Allowed, got.Result.Message)
		}
	}
}
