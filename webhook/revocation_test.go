package webhook_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

func TestSecretsAndPodsWithATokenThatWasRevoked(t *testing.T) {
	key := signingKey("bank", "main")
	signs := newRing(t, key)
	compact := signs.sign(t, key.Spec.Issuer, time.Hour) // jti id, sub till
	const refusal = "is of SigningKey bank/main and was revoked by a TokenRevocation: put a valid one there"
	for sentence, c := range map[string]struct {
		spec    v1alpha1.TokenRevocationSpec
		elapsed time.Duration // from when the token was issued to the revocation
		want    string
	}{
		"by its ID":                     {v1alpha1.TokenRevocationSpec{TokenID: "id"}, time.Minute, refusal},
		"another token":                 {v1alpha1.TokenRevocationSpec{TokenID: "other"}, time.Minute, ""},
		"with its subject":              {v1alpha1.TokenRevocationSpec{Subject: "till"}, time.Minute, refusal},
		"with its subject, at once":     {v1alpha1.TokenRevocationSpec{Subject: "till"}, 0, refusal},
		"its subject, an hour before":   {v1alpha1.TokenRevocationSpec{Subject: "till"}, -time.Hour, ""},
		"with all others of the issuer": {v1alpha1.TokenRevocationSpec{IssuedBefore: &metav1.Time{Time: today().Add(time.Second)}}, time.Minute, refusal},
	} {
		t.Run(sentence, func(t *testing.T) {
			c.spec.SigningKeyName = "main"
			of := &v1alpha1.TokenRevocation{
				ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "r", CreationTimestamp: metav1.Time{Time: today().Add(c.elapsed)}}, Spec: c.spec,
			}
			secret := ours(tokenSecret("shop", "held", compact))
			a := begin(t, key, signs.secret, secret, of, namespace("shop", nil))
			a.check(request{path: webhook.PathSecret, new: tokenSecret("shop", "till", compact)}, c.want)
			a.check(request{path: webhook.PathPod, new: mounting("held")}, c.want)
		})
	}
}
