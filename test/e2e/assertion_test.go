package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/url"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// aKeyOfItsOwnProvesAClient has a client ask with assertions that it has signed (RFC 7523), and with proofs that are refused: whoever
// refuses something has a reason to say what it was.
func (c *cluster) aKeyOfItsOwnProvesAClient(t *testing.T, a *asking) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	key := jose.JSONWebKey{Key: private, KeyID: "one", Algorithm: string(jose.ES256)}
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	must(t, err)
	signs := &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.key.Namespace, Name: "signs"},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef:       v1alpha1.SigningKeyReference{Name: a.key.Name},
			Authentication:      v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKS: string(jwks)}},
			Audiences:           []v1alpha1.Audience{audience},
			AccessTokenDuration: seconds(longestToken),
		},
	}
	c.create(t, signs)
	c.awaitReady(t, signs)
	eventually(t, "a client that signs is granted a token", func() error {
		answer, err := c.grant(t, a.issuer(), c.withAssertion(t, key, signs.Status.ClientID, a.issuer()))
		if err == nil && answer.Error != "" {
			err = errors.New(answer.Error)
		}
		return err
	})
	guess := rand.Text()
	c.secrets.ClientSecret(guess)
	for proof, form := range map[string]url.Values{
		"an assertion for somebody else": c.withAssertion(t, key, signs.Status.ClientID, audience),
		"an assertion of nobody":         c.withAssertion(t, key, "nobody", a.issuer()),
		"a secret of a client with none": {"grant_type": {"client_credentials"}, "client_id": {signs.Status.ClientID}, "client_secret": {guess}},
	} {
		answer, err := c.grant(t, a.issuer(), form)
		must(t, err)
		if answer.Error != "invalid_client" {
			t.Errorf("%s is answered with %q, want invalid_client", proof, answer.Error)
		}
	}
}

// withAssertion is a request by private_key_jwt. Its assertion must not be told.
func (c *cluster) withAssertion(t *testing.T, key jose.JSONWebKey, clientID, audience string) url.Values {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	must(t, err)
	compact, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: clientID, Subject: clientID, Audience: jwt.Audience{audience}, ID: rand.Text(),
		Expiry: jwt.NewNumericDate(c.clock.Now().Add(time.Minute)),
	}).Serialize()
	must(t, err)
	c.secrets.Assertion(compact)
	return url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {compact},
	}
}
