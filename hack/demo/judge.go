package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/verifier"
)

// seeToken notes a token that appeared in a Secret.
func (o *observer) seeToken(secret *corev1.Secret) {
	compact := string(secret.Data[v1alpha1.SecretKeyToken])
	if compact == "" {
		return
	}
	keyID, claims, err := verifier.Read(compact)
	if err != nil {
		o.fail(secret.Name, err)
		return
	}
	if _, known := o.tokens[claims.ID]; known {
		return
	}
	o.tokens[claims.ID] = live{compact: compact, issuer: claims.Issuer, expires: claims.Expiry.Time()}
	o.total.tokens++
	o.say("token", "%-9s %.8s signed by %.8s, lives for %s", secret.Name, claims.ID, keyID,
		claims.Expiry.Time().Sub(claims.IssuedAt.Time()))
}

// judge lets every verifier judge every live token.
func (o *observer) judge(ctx context.Context, now time.Time) {
	for id, token := range o.tokens {
		if !now.Before(token.expires) {
			delete(o.tokens, id)
			continue
		}
		for _, v := range o.judges[token.issuer] {
			o.total.verifications++
			if err := v.Verify(ctx, now, token.compact); err != nil {
				o.fail("a verifier that "+v.Habit, err)
			}
		}
	}
}

func (o *observer) fail(who string, err error) {
	o.total.failures++
	o.say("FAIL", "%s: %v", who, err)
}
