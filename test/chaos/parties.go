package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/chaos/judge"
)

// What the keys declare: seconds where production has hours.
const (
	cache        = 2 * time.Second
	propagation  = time.Second
	skew         = time.Second
	period       = 12 * time.Second
	longestToken = 12 * time.Second

	audience = "https://api.chaos.example"
	standing = "standing"
)

func declared() judge.Declared {
	return judge.Declared{Audience: audience, Cache: cache, Propagation: propagation, Skew: skew}
}

func seconds(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// signingKey rotates by itself each period.
func signingKey(namespace, name string, algorithm v1alpha1.Algorithm, period, longest time.Duration) *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SigningKeySpec{
			Issuer: "https://" + name + "." + namespace + ".example", Algorithm: algorithm,
			Rotation: v1alpha1.RotationSpec{
				Period: seconds(period), VerifierCacheDuration: seconds(cache), PropagationDelay: seconds(propagation), ClockSkew: seconds(skew),
			},
			Tokens: v1alpha1.TokensSpec{MaxDuration: seconds(longest)},
		},
	}
}

func serviceToken(namespace, name, key string, life time.Duration) *v1alpha1.ServiceToken {
	return &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef:      v1alpha1.SigningKeyReference{Name: key},
			ServiceAccountName: name, Audiences: []v1alpha1.Audience{audience}, Duration: seconds(life),
		},
	}
}

// declare creates keys that rotate and tokens that are renewed all the time, whatever the fault.
func (w *world) declare(ctx context.Context) error {
	const short, middle = 6 * time.Second, 9 * time.Second
	return w.create(ctx,
		newNamespace(standing),
		signingKey(standing, "shop", "ES256", period, longestToken),
		signingKey(standing, "bank", "EdDSA", period, longestToken),
		serviceToken(standing, "cart", "shop", short),
		serviceToken(standing, "search", "shop", middle),
		serviceToken(standing, "checkout", "shop", longestToken),
		serviceToken(standing, "ledger", "bank", short),
		serviceToken(standing, "audit", "bank", longestToken),
	)
}

// create creates objects, as soon as admission answers.
func (w *world) create(ctx context.Context, objects ...client.Object) error {
	for _, object := range objects {
		err := w.eventually(ctx, "create "+object.GetName(), func(ctx context.Context) error {
			return client.IgnoreAlreadyExists(w.api.Create(ctx, object.DeepCopyObject().(client.Object)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rest waits until every key and every token is as its spec says.
func (w *world) rest(ctx context.Context) error {
	return w.eventually(ctx, "the operator comes to rest", func(ctx context.Context) error {
		var keys v1alpha1.SigningKeyList
		var tokens v1alpha1.ServiceTokenList
		if err := errors.Join(w.api.List(ctx, &keys), w.api.List(ctx, &tokens)); err != nil {
			return err
		}
		var waiting []error
		for i := range keys.Items {
			waiting = append(waiting, settled(&keys.Items[i], keys.Items[i].Status.ObservedGeneration, keys.Items[i].Status.Conditions))
		}
		for i := range tokens.Items {
			waiting = append(waiting, settled(&tokens.Items[i], tokens.Items[i].Status.ObservedGeneration, tokens.Items[i].Status.Conditions),
				w.current(&tokens.Items[i]))
		}
		return errors.Join(waiting...)
	})
}

func settled(object client.Object, observed int64, conditions []metav1.Condition) error {
	if observed != object.GetGeneration() || !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
		return fmt.Errorf("%s/%s is not Ready: %v", object.GetNamespace(), object.GetName(), meta.FindStatusCondition(conditions, v1alpha1.ConditionReady))
	}
	return nil
}

// current says that a token has not expired.
func (w *world) current(token *v1alpha1.ServiceToken) error {
	if expires := token.Status.ExpiresAt; expires == nil || !expires.After(w.clock.Now()) {
		return fmt.Errorf("%s/%s has expired", token.Namespace, token.Name)
	}
	return nil
}
