package webhook_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

func paths() []string {
	return []string{
		webhook.PathSigningKey, webhook.PathServiceToken, webhook.PathTokenClient, webhook.PathTokenRevocation, webhook.PathTokenPolicy,
		webhook.PathSecret, webhook.PathPod,
	}
}

// inhabited is a server before a cluster in which each kind of object is there once, and every Secret that its Pods name.
func inhabited(t testing.TB) (*admitter, *v1alpha1.SigningKey, ring) {
	t.Helper()
	key := signingKey("bank", "main", func(k *v1alpha1.SigningKey) {
		k.Spec.Algorithm = "EdDSA"
		k.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: `claims.aud != [""]`}}
	})
	r := newRing(t, key)
	return begin(t, key, r.secret, namespace("shop", nil), namespace("bank", nil),
		serviceToken("shop", "till", key), tokenClient("shop", "till", key), ours(tokenSecret("shop", "till", r.sign(t, key.Spec.Issuer, time.Hour))),
		ours(tokenSecret("shop", "stale", r.sign(t, key.Spec.Issuer, -time.Hour)))), key, r
}

// samples are objects for the webhooks, in the order of their paths: one that is allowed and one that is refused.
func samples(key *v1alpha1.SigningKey, token string) [][2]client.Object {
	return [][2]client.Object{
		{signingKey("bank", "other"), signingKey("bank", "other", func(k *v1alpha1.SigningKey) {
			k.Spec.Rotation.Period, k.Spec.Tokens.Rules = lasting(time.Hour), []v1alpha1.TokenRule{{Expression: "("}}
		})},
		{serviceToken("shop", "till", key, renewed(time.Minute)), serviceToken("shop", "till", key, living(48*time.Hour), func(t *v1alpha1.ServiceToken) {
			t.Spec.SecretTemplate = &v1alpha1.SecretTemplate{Data: map[string]v1alpha1.TemplateText{"a": "{{ .Token }}", "b": "{{"}}
			t.Spec.Claims = &runtime.RawExtension{Raw: []byte(`{"team":{"a":[1,null]}}`)}
		})},
		{tokenClient("shop", "till", key, claiming("team", "client.name")), tokenClient("shop", "till", key, claiming("team", "client.nmae"), func(c *v1alpha1.TokenClient) {
			c.Spec.Authentication.PrivateKeyJWT = &v1alpha1.PrivateKeyJWTAuthentication{JWKS: `{"keys":[{"kty":"EC","kid":"a"}]}`}
		})},
		{tokenRevocation(before(today())), tokenRevocation(before(today().Add(time.Hour)))},
		{tokenPolicy(key, ruling("true")), tokenPolicy(key, ruling("claims.a", "1"), headers("X-A", "x-a"), elsewhere(v1alpha1.ExternalIssuer{Issuer: "a b"}))},
		{tokenSecret("shop", "new", token), tokenSecret("shop", "new", token[:len(token)-1])},
		{mounting("till"), mounting("stale")},
	}
}

// FuzzReviews sends anything to any webhook: there is one answer, it is for the request that was sent, and a refusal says why.
func FuzzReviews(f *testing.F) {
	a, key, r := inhabited(f)
	for i, pair := range samples(key, r.sign(f, key.Spec.Issuer, time.Hour)) {
		f.Add(uint8(i), a.review(request{new: pair[0]}))
		f.Add(uint8(i), a.review(request{new: pair[1], old: pair[0]}))
	}
	f.Add(uint8(0), []byte(`{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"1","operation":"DELETE"}}`))
	f.Add(uint8(6), []byte(`{"request":{"operation":"CREATE","object":{"spec":{"containers":[null,{"env":[{"valueFrom":{}}]}],"volumes":[{"projected":{"sources":[{}]}}]}}}}`))
	f.Fuzz(func(t *testing.T, path uint8, body []byte) {
		a.t = t
		answer := a.post(paths()[int(path)%len(paths())], body)
		mustBeClear(t, answer, len(body))
		var sent admissionv1.AdmissionReview
		if err := json.Unmarshal(body, &sent); err == nil && sent.Request != nil && answer.Allowed && answer.UID != sent.Request.UID {
			t.Errorf("the answer is for %q, asked was %q", answer.UID, sent.Request.UID)
		}
	})
}

// mustBeClear says that an answer allows, or refuses with a reason that is not the webhook's own fall, and is not much longer than
// what it answers.
func mustBeClear(t testing.TB, answer *admissionv1.AdmissionResponse, asked int) {
	t.Helper()
	refused := []int32{http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	switch {
	case answer.Allowed:
	case answer.Result == nil || answer.Result.Message == "" || !slices.Contains(refused, answer.Result.Code):
		t.Errorf("refused without a reason: %+v", answer.Result)
	case strings.Contains(answer.Result.Message, "panic"):
		t.Errorf("it fell: %s", answer.Result.Message)
	}
	encoded, err := json.Marshal(answer)
	if most := 64*asked + 4096; err != nil || len(encoded) > most {
		t.Errorf("an answer of %d bytes, at most %d: %v", len(encoded), most, err)
	}
}

// FuzzObjects puts any JSON into any place of an object, also such as no API server lets through. The answer is the same each time, an
// update that changes nothing is never refused, and nor is a deletion that harms nobody.
func FuzzObjects(f *testing.F) {
	a, key, r := inhabited(f)
	all := samples(key, r.sign(f, key.Spec.Issuer, time.Hour))
	for i := range all {
		for at, value := range []string{`"x"`, `{"":[null]}`, `[{},"",0]`, `"2026-01-02T03:00:00Z"`, `"9999999h"`, `null`, `1e400`, `true`, `"{{range .Token}}"`} {
			f.Add(uint8(i), uint8(at), uint16(7*at+i), []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, kind, operation uint8, at uint16, value []byte) {
		if !json.Valid(value) {
			t.Skip("FuzzReviews has such")
		}
		a.t = t
		path, pair := paths()[int(kind)%len(all)], all[int(kind)%len(all)]
		object := runtime.RawExtension{Raw: replaced(t, raw(t, pair[operation/3%2]).Raw, int(at), value)}
		asked := admissionv1.AdmissionRequest{UID: "1", Namespace: "shop", Object: object}
		asked.Operation = []admissionv1.Operation{admissionv1.Create, admissionv1.Update, admissionv1.Delete}[operation%3]
		if asked.Operation != admissionv1.Create {
			asked.OldObject = raw(t, pair[0])
		}
		answer := a.post(path, reviewOf(t, asked))
		mustBeClear(t, answer, len(object.Raw))
		if diff := cmp.Diff(answer, a.post(path, reviewOf(t, asked))); diff != "" {
			t.Errorf("asked twice, answered (-first +second):\n%s", diff)
		}
		asked.Operation, asked.OldObject = admissionv1.Update, object
		if same := a.post(path, reviewOf(t, asked)); !same.Allowed && same.Result.Code != http.StatusBadRequest {
			t.Errorf("an update that changes nothing: %s", same.Result.Message)
		}
		asked.Operation = admissionv1.Delete
		holds := path == webhook.PathSigningKey || path == webhook.PathTokenRevocation
		if gone := a.post(path, reviewOf(t, asked)); !holds && !gone.Allowed && gone.Result.Code != http.StatusBadRequest {
			t.Errorf("a deletion: %s", gone.Result.Message)
		}
	})
}

// replaced is a JSON text with one of its values, counted from the outside, in the place of which there is another.
func replaced(t *testing.T, text []byte, at int, value json.RawMessage) []byte {
	t.Helper()
	var whole any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	places := placesIn(whole, func(any) {})
	places[at%len(places)](value)
	return encodeJSON(t, whole)
}

// placesIn are functions that put something into each place below a value; put does so with the value itself.
func placesIn(value any, put func(any)) []func(any) {
	places := []func(any){put}
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			places = append(places, placesIn(value[name], func(v any) { value[name] = v })...)
		}
	case []any:
		for i := range value {
			places = append(places, placesIn(value[i], func(v any) { value[i] = v })...)
		}
	}
	return places
}

func encodeJSON(t *testing.T, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// FuzzSecretTokens puts any token into a Secret, signed by the ring's key or not. What is accepted in the name of a SigningKey was signed
// by its key, by package crypto's own judgement, and no refusal shows what the token says. KID stands for the key's ID.
func FuzzSecretTokens(f *testing.F) {
	a, key, r := inhabited(f)
	private := privateKey(f, r)
	const header = `{"alg":"EdDSA","kid":"KID","typ":"JWT"}`
	good := `{"iss":"` + key.Spec.Issuer + `","exp":1767326400,"sub":"till"}`
	for _, seed := range []struct{ header, payload, rest string }{
		{header, good, "."},
		{header, good, ".AA"},
		{header, strings.ToUpper(good), "."},
		{`{"alg":"none"}`, good, "."},
		{`{"alg":"HS256"}`, `{"iss":"https://elsewhere.example"}`, ".AA"},
		{header, `{"iss":"https://elsewhere.example","exp":1767326400.5}`, ".%"},
		{header, `{"iss":"` + key.Spec.Issuer + `","iss":"https://elsewhere.example"}`, "."},
		{header, `{"iss":"https://elsewhere.example","\u0069ss":"` + key.Spec.Issuer + `"}`, "\n.AA"},
		{"[]", "null", ".."},
	} {
		f.Add(seed.header, seed.payload, seed.rest, true)
		f.Add(seed.header, seed.payload, seed.rest, false)
	}
	f.Fuzz(func(t *testing.T, header, payload, rest string, sign bool) {
		a.t = t
		compact := encode(strings.ReplaceAll(header, "KID", r.keys.IDs()[0])) + "." + encode(payload)
		if sign {
			rest = "." + encode(string(ed25519.Sign(private, []byte(compact))))
		}
		compact += rest
		answer := a.ask(request{path: webhook.PathSecret, new: tokenSecret("shop", "new", compact)})
		mustBeClear(t, answer, len(compact))
		if answer.Allowed {
			mustBeSound(t, compact, key.Spec.Issuer, private.Public().(ed25519.PublicKey))
			return
		}
		mustNotQuote(t, answer.Result.Message, header+payload+compact)
	})
}

// mustBeSound reads a token that was accepted as the RFCs have it, with nothing of Keyturn's.
func mustBeSound(t *testing.T, compact, issuer string, key ed25519.PublicKey) {
	t.Helper()
	parts := strings.Split(compact, ".")
	if len(parts) != 3 || strings.ContainsAny(compact, "\r\n") {
		t.Fatalf("accepted %q", compact)
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			t.Errorf("accepted %q with a part that is not base64url: %v", compact, err)
		}
	}
	var claims map[string]any
	if err := json.Unmarshal(decoded[1], &claims); err != nil {
		t.Errorf("accepted a payload that is no JSON: %v", err)
	}
	if expiry, given := claims["exp"].(float64); given && int64(expiry) <= today().Unix() {
		t.Errorf("accepted a token that has expired: %s", decoded[1])
	}
	if claims["iss"] == issuer && !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), decoded[2]) {
		t.Errorf("accepted a token of ours that nobody has signed: %s", compact)
	}
}

// mustNotQuote fails if a text shows a piece of a token long enough to be told from chance.
func mustNotQuote(t *testing.T, text, token string) {
	t.Helper()
	const piece = 10
	for i := 0; i+piece <= len(text); i++ {
		if strings.Contains(token, text[i:i+piece]) {
			t.Errorf("%q shows %q of the token", text, text[i:i+piece])
			return
		}
	}
}

func privateKey(t testing.TB, r ring) ed25519.PrivateKey {
	t.Helper()
	signer, _ := r.keys.Signer()
	text, err := signer.PEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(ed25519.PrivateKey)
}
