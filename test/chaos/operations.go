package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/verifier"
)

// issue is the first token of a ServiceToken.
func issue() operation {
	const namespace, key, long = "issue", "key", time.Minute
	return operation{
		namespace: namespace,
		prepare: func(ctx context.Context, w *world) error {
			return w.create(ctx, newNamespace(namespace), signingKey(namespace, key, "ES256", 2*long, long))
		},
		begin: func(ctx context.Context, w *world, n int) (func(context.Context) error, error) {
			token := serviceToken(namespace, fmt.Sprintf("token-%02d", n), key, long)
			if err := w.create(ctx, token); err != nil {
				return nil, err
			}
			return func(ctx context.Context) error { return w.issued(ctx, client.ObjectKeyFromObject(token)) }, nil
		},
	}
}

// issued says that a token is in its Secret and that the status is about this one.
func (w *world) issued(ctx context.Context, name client.ObjectKey) error {
	token, secret := &v1alpha1.ServiceToken{}, &corev1.Secret{}
	if err := w.api.Get(ctx, name, secret); err != nil {
		return err
	}
	if err := w.api.Get(ctx, name, token); err != nil {
		return err
	}
	keyID, claims, err := verifier.Read(string(secret.Data[v1alpha1.SecretKeyToken]))
	if err != nil {
		return err
	}
	if keyID != token.Status.KeyID || claims.ID != token.Status.TokenID {
		return fmt.Errorf("the status of %s is about another token", name)
	}
	return settled(token, token.Status.ObservedGeneration, token.Status.Conditions)
}

func newNamespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}
