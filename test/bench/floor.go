package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// bare is the floor: a program that makes the writes of an issue and does nothing else. It signs nothing, decides nothing, reads
// nothing and has no cache; it knows the objects from the start.
type bare struct {
	core      kubernetes.Interface
	tokens    dynamic.ResourceInterface
	namespace string
	workers   int
}

// operatorWorkers is how many objects of a kind the operator reconciles at once unless told otherwise.
const operatorWorkers = 8

func newBare(config *rest.Config, namespace string) (*bare, error) {
	built := rest.CopyConfig(config)
	built.ContentType = "application/vnd.kubernetes.protobuf"
	core, err := kubernetes.NewForConfig(built)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	custom, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	resource := v1alpha1.GroupVersion.WithResource("servicetokens")
	return &bare{core: core, tokens: custom.Resource(resource).Namespace(namespace), namespace: namespace, workers: operatorWorkers}, nil
}

// compactBytes is the length of an ordinary token, ES256.
const compactBytes = 560

// text is as long as a token, and compresses as badly.
func text() []byte {
	raw := make([]byte, base64.RawURLEncoding.DecodedLen(compactBytes))
	for i := range raw {
		raw[i] = byte(rand.Uint32()) //nolint:gosec // Nothing that anybody has to guess.
	}
	return []byte(base64.RawURLEncoding.EncodeToString(raw))
}

// issue creates the Secret of each ServiceToken and writes its status.
func (b *bare) issue(ctx context.Context, tokens []v1alpha1.ServiceToken, now time.Time) error {
	return each(ctx, len(tokens), b.workers, func(ctx context.Context, i int) error {
		t := &tokens[i]
		if _, err := b.core.CoreV1().Secrets(b.namespace).Create(ctx, bareSecret(t), metav1.CreateOptions{FieldManager: "bench"}); err != nil {
			return fmt.Errorf("create Secret: %w", err)
		}
		return b.status(ctx, t, now)
	})
}

// renew patches the Secret of each ServiceToken and writes its status.
func (b *bare) renew(ctx context.Context, tokens []v1alpha1.ServiceToken, now time.Time) error {
	return each(ctx, len(tokens), b.workers, func(ctx context.Context, i int) error {
		t := &tokens[i]
		patch, err := json.Marshal(map[string]any{"data": map[string][]byte{v1alpha1.SecretKeyToken: text()}})
		if err != nil {
			return err
		}
		if _, err := b.core.CoreV1().Secrets(b.namespace).Patch(ctx, t.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "bench"}); err != nil {
			return fmt.Errorf("patch Secret: %w", err)
		}
		return b.status(ctx, t, now)
	})
}

// bareSecret is like one of the operator, but for the label that would make its caches keep it.
func bareSecret(t *v1alpha1.ServiceToken) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: t.Name, Namespace: t.Namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "bench"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "ServiceToken", Name: t.Name, UID: t.UID, Controller: new(true),
			}},
		},
		Type: v1alpha1.SecretTypeToken,
		Data: map[string][]byte{v1alpha1.SecretKeyToken: text()},
	}
}

// status writes what the operator writes, with other values each time.
func (b *bare) status(ctx context.Context, t *v1alpha1.ServiceToken, now time.Time) error {
	at := metav1.NewTime(now.Add(time.Duration(rand.IntN(1e6)) * time.Second).Truncate(time.Second)) //nolint:gosec // As above.
	patch, err := json.Marshal(map[string]any{"status": v1alpha1.ServiceTokenStatus{
		ObservedGeneration: t.Generation, KeyID: string(text()[:43]), TokenID: string(text()[:36]),
		IssuedAt: &at, ExpiresAt: &at, NextRenewalTime: &at,
		Conditions: []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonIssued,
			Message: "the Secret holds a valid token", ObservedGeneration: t.Generation, LastTransitionTime: at,
		}},
	}})
	if err != nil {
		return err
	}
	if _, err := b.tokens.Patch(ctx, t.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "bench"}, "status"); err != nil {
		return fmt.Errorf("patch status: %w", err)
	}
	return nil
}
