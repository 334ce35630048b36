package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// rotation is one that somebody asks for, up to the moment in which the next key signs.
func rotation() operation {
	const namespace, name, long = "rotation", "key", time.Minute
	return operation{
		namespace: namespace,
		prepare: func(ctx context.Context, w *world) error {
			return w.create(ctx, newNamespace(namespace), signingKey(namespace, name, "ES256", 2*long, longestToken),
				serviceToken(namespace, "token", name, longestToken))
		},
		begin: func(ctx context.Context, w *world, n int) (func(context.Context) error, error) {
			at := client.ObjectKey{Namespace: namespace, Name: name}
			before, err := w.change(ctx, at, func(key *v1alpha1.SigningKey) {
				key.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: fmt.Sprint(n)}
			})
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) error {
				key := &v1alpha1.SigningKey{}
				if err := w.api.Get(ctx, at, key); err != nil {
					return err
				}
				if key.Status.ActiveKeyID == before.Status.ActiveKeyID {
					return fmt.Errorf("key %.8s still signs", key.Status.ActiveKeyID)
				}
				return settled(key, key.Status.ObservedGeneration, key.Status.Conditions)
			}, nil
		},
	}
}

// revocation is that of the key that signs, up to the moment in which every token of it was issued anew.
func revocation() operation {
	const namespace, name, long = "revocation", "key", 20 * time.Second
	names := []string{"one", "two", "three"}
	return operation{
		namespace: namespace,
		prepare: func(ctx context.Context, w *world) error {
			err := w.create(ctx, newNamespace(namespace), signingKey(namespace, name, "ES256", 3*long, long))
			for _, token := range names {
				err = errors.Join(err, w.create(ctx, serviceToken(namespace, token, name, long)))
			}
			return err
		},
		begin: func(ctx context.Context, w *world, _ int) (func(context.Context) error, error) {
			key, err := w.change(ctx, client.ObjectKey{Namespace: namespace, Name: name}, w.revokeActive)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) error {
				for _, token := range names {
					if err := w.reissued(ctx, client.ObjectKey{Namespace: namespace, Name: token}, key.Status.ActiveKeyID); err != nil {
						return err
					}
				}
				return w.unpublished(ctx, key)
			}, nil
		},
	}
}

// change updates a SigningKey, as soon as admission answers, and returns it as it was decided from.
func (w *world) change(ctx context.Context, name client.ObjectKey, edit func(*v1alpha1.SigningKey)) (*v1alpha1.SigningKey, error) {
	key := &v1alpha1.SigningKey{}
	return key, w.eventually(ctx, "update "+name.String(), func(ctx context.Context) error {
		if err := w.api.Get(ctx, name, key); err != nil {
			return err
		}
		edit(key)
		return w.api.Update(ctx, key)
	})
}

// revokeActive has the key that signs revoked. The list takes the latest only.
func (w *world) revokeActive(key *v1alpha1.SigningKey) {
	const most = 64
	w.judge.Revoke(key.Spec.Issuer, key.Status.ActiveKeyID)
	key.Spec.RevokedKeyIDs = append(key.Spec.RevokedKeyIDs, v1alpha1.KeyID(key.Status.ActiveKeyID))
	key.Spec.RevokedKeyIDs = key.Spec.RevokedKeyIDs[max(0, len(key.Spec.RevokedKeyIDs)-most):]
}

// reissued says that a token is there which another key has signed.
func (w *world) reissued(ctx context.Context, name client.ObjectKey, revoked string) error {
	secret := &corev1.Secret{}
	if err := w.api.Get(ctx, name, secret); err != nil {
		return err
	}
	if keyID, _, err := verifier.Read(string(secret.Data[v1alpha1.SecretKeyToken])); err != nil || keyID == revoked {
		return fmt.Errorf("%s is of the revoked key %.8s: %w", name, keyID, err)
	}
	return w.issued(ctx, name)
}

// unpublished says that the JWKS has lost the key that signed.
func (w *world) unpublished(ctx context.Context, key *v1alpha1.SigningKey) error {
	jwks := &corev1.ConfigMap{}
	if err := w.api.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name + "-jwks"}, jwks); err != nil {
		return err
	}
	if strings.Contains(jwks.Data[v1alpha1.ConfigMapKeyJWKS], key.Status.ActiveKeyID) {
		return fmt.Errorf("the JWKS still has the revoked key %.8s", key.Status.ActiveKeyID)
	}
	return nil
}

func newNamespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}
