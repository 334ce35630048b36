package tokenclient

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// clientsOfSecret are the TokenClients that a Secret concerns: those that name it, the one that owns it, and those of the
// SigningKey whose ring it is. Marks alone, which anybody can copy, do not let a Secret of one namespace make work for another.
func (r *Reconciler) clientsOfSecret(ctx context.Context, object client.Object) []ctrl.Request {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return nil
	}
	if secret.Type == v1alpha1.SecretTypeToken {
		return nil // Thousands of them change each hour. One that is in the way of a TokenClient's is looked at again all the same.
	}
	if secret.Type == v1alpha1.SecretTypeSigningKey {
		if name, ok := spec.KeyOf(secret); ok && name.Namespace == secret.Namespace {
			return r.find(ctx, client.MatchingFields{spec.IndexSigningKey: name.String()})
		}
		return nil
	}
	requests := r.find(ctx, client.InNamespace(secret.Namespace), client.MatchingFields{spec.IndexClientSecret: secret.Name})
	if owner := metav1.GetControllerOf(secret); owner != nil && owner.Kind == kind {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: secret.Namespace, Name: owner.Name}})
	}
	return requests
}

func (r *Reconciler) clientsOfKey(ctx context.Context, key client.Object) []ctrl.Request {
	return r.find(ctx, client.MatchingFields{spec.IndexSigningKey: client.ObjectKeyFromObject(key).String()})
}

// clientsIn are the TokenClients of a namespace whose labels changed: a key's selector may judge them anew.
func (r *Reconciler) clientsIn(ctx context.Context, namespace client.Object) []ctrl.Request {
	return r.find(ctx, client.InNamespace(namespace.GetName()))
}

func (r *Reconciler) find(ctx context.Context, options ...client.ListOption) []ctrl.Request {
	var list v1alpha1.TokenClientList
	if err := r.Client.List(ctx, &list, options...); err != nil {
		return nil
	}
	requests := make([]ctrl.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}
