package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Where the objects are that the operator works on, and those that the floor does.
const (
	ours  = "bench"
	floor = "bench-floor"
)

// keyName is the SigningKey that everything is signed with.
const keyName = "shop"

// harnessWorkers is how many requests are made at once to prepare.
const harnessWorkers = 16

func newNamespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func newKey(namespace string) *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: keyName},
		Spec:       v1alpha1.SigningKeySpec{Issuer: "https://shop." + namespace + ".example"},
	}
}

// newToken is an ordinary ServiceToken, the i-th.
func newToken(namespace string, i int, life time.Duration) *v1alpha1.ServiceToken {
	name := fmt.Sprintf("service-%05d", i)
	return &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef:      v1alpha1.SigningKeyReference{Name: keyName},
			ServiceAccountName: name, Audiences: []v1alpha1.Audience{"https://api.example"},
			Duration: &metav1.Duration{Duration: life},
		},
	}
}

// each calls a function for the numbers below n, some at a time, until one fails.
func each(ctx context.Context, n, workers int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// createTokens creates ServiceTokens, with a life for each.
func (p *Plane) createTokens(ctx context.Context, namespace string, n int, life func(int) time.Duration) error {
	return each(ctx, n, harnessWorkers, func(ctx context.Context, i int) error {
		return p.Client.Create(ctx, newToken(namespace, i, life(i)))
	})
}

// forOf is the same life for all.
func forOf(life time.Duration) func(int) time.Duration {
	return func(int) time.Duration { return life }
}

// withoutAdmission lets something be prepared that no operator admits, because none runs or to be quick.
func (p *Plane) withoutAdmission(ctx context.Context, prepare func() error) error {
	admission := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := p.Client.Get(ctx, client.ObjectKey{Name: "keyturn"}, admission); err != nil {
		return fmt.Errorf("read webhook configuration: %w", err)
	}
	if err := p.Client.Delete(ctx, admission); err != nil {
		return fmt.Errorf("delete webhook configuration: %w", err)
	}
	// An API server notices a moment later.
	if err := p.eventually(ctx, func(ctx context.Context) error {
		return p.Client.Create(ctx, newKey("default"), client.DryRunAll)
	}); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	admission.ResourceVersion, admission.UID = "", ""
	if err := p.Client.Create(ctx, admission); err != nil {
		return fmt.Errorf("create webhook configuration: %w", err)
	}
	return nil
}

// eventually repeats until it succeeds. When the time has run out it returns the last error.
func (p *Plane) eventually(ctx context.Context, try func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, operatorPatience, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// clear deletes the ServiceTokens of a namespace and the Secrets with their tokens.
func (p *Plane) clear(ctx context.Context, namespace string) error {
	if err := p.Client.DeleteAllOf(ctx, &v1alpha1.ServiceToken{}, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("delete ServiceTokens: %w", err)
	}
	tokens := client.MatchingFields{"type": string(v1alpha1.SecretTypeToken)}
	if err := p.Client.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(namespace), tokens); err != nil {
		return fmt.Errorf("delete Secrets: %w", err)
	}
	return nil
}

// createForeign creates Secrets and ConfigMaps that are not Keyturn's, n together, of 2 KiB each.
func (p *Plane) createForeign(ctx context.Context, n int) error {
	return p.withoutAdmission(ctx, func() error {
		content := strings.Repeat("x", 2<<10)
		return each(ctx, n, harnessWorkers, func(ctx context.Context, i int) error {
			at := metav1.ObjectMeta{Namespace: ours, Name: fmt.Sprintf("foreign-%05d", i)}
			if i%2 == 0 {
				return p.Client.Create(ctx, &corev1.Secret{ObjectMeta: at, StringData: map[string]string{"content": content}})
			}
			return p.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: at, Data: map[string]string{"content": content}})
		})
	})
}
