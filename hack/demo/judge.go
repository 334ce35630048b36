package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/verifier"
)

// seeToken notes a token that appeared in a Secret.
func (o *observer) seeToken(secret *corev1.Secret) {
	if compact := string(secret.Data[v1alpha1.SecretKeyToken]); compact != "" {
		o.take(secret.Name, compact)
	}
}

// take has a token judged from now on.
func (o *observer) take(of, compact string) {
	keyID, claims, err := verifier.Read(compact)
	if err != nil {
		o.fail(of, err)
		return
	}
	if _, known := o.tokens[claims.ID]; known {
		return
	}
	o.tokens[claims.ID] = live{compact: compact, issuer: claims.Issuer, expires: claims.Expiry.Time()}
	o.total.tokens++
	o.say("token", "%-9s %.8s signed by %.8s, lives for %s", of, claims.ID, keyID,
		claims.Expiry.Time().Sub(claims.IssuedAt.Time()))
}

// seeClient starts the customer of a TokenClient as soon as it can ask.
func (o *observer) seeClient(ctx context.Context, api client.Client, found *v1alpha1.TokenClient) {
	if o.started[found.Name] || !meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionReady) {
		return
	}
	c, err := newCustomer(ctx, api, found.Name, policyName, o.reports)
	if err != nil {
		o.fail(found.Name, err)
		return
	}
	o.started[found.Name] = true
	go c.run(ctx)
}

// hear counts what a customer tells.
func (o *observer) hear(r report) {
	switch {
	case r.err != nil:
		o.fail(r.who, r.err)
	case r.presented:
		o.total.presented++
	case r.refreshed:
		o.total.refreshed++
		o.take(r.who, r.token)
	default:
		o.total.asked++
		o.take(r.who, r.token)
	}
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
