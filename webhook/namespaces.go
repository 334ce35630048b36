package webhook

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// judging lets a webhook judge what is in the namespaces that the operator watches, and lets everything else pass with a
// warning: that is for another operator to judge, or for none.
func (w *world) judging(hook *admission.Webhook) *admission.Webhook {
	judge := hook.Handler
	hook.Handler = admission.HandlerFunc(func(ctx context.Context, request admission.Request) admission.Response {
		if w.Operator.Watches(request.Namespace) {
			return judge.Handle(ctx, request)
		}
		return admission.Allowed("").WithWarnings(fmt.Sprintf(
			"%s %s is not checked: the Keyturn operator that was asked does not watch namespace %s (--watch-namespaces)",
			request.Kind.Kind, request.Name, request.Namespace))
	})
	return hook
}

// nothingIssued is what follows for whoever asks a key for tokens.
const nothingIssued = "so nothing is issued"

// missing says what follows from a key in that field that is not there, although nothing is wrong with the object.
func (w *world) missing(path string, key client.ObjectKey, consequence string) string {
	if !w.Operator.Watches(key.Namespace) {
		return fmt.Sprintf("%s: the operator does not watch namespace %s (--watch-namespaces), %s", path, key.Namespace, consequence)
	}
	return fmt.Sprintf("%s: there is no SigningKey %s yet, %s until it is there", path, key, consequence)
}

// warnOfReach names the namespaces that a selector means and the operator does not watch: they get no copy of the JWKS.
func (w *world) warnOfReach(ctx context.Context, key *v1alpha1.SigningKey) (admission.Warnings, error) {
	if key.Spec.JWKS.Namespaces == nil || len(w.Operator.WatchedNamespaces) == 0 {
		return nil, nil
	}
	var all metav1.PartialObjectMetadataList
	all.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := w.Reader.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var unwatched []string
	for i := range all.Items {
		ns := &all.Items[i]
		chosen, err := spec.Selects(key.Spec.JWKS.Namespaces, spec.Namespace{Name: ns.Name, Labels: ns.Labels})
		if err != nil {
			return nil, err
		}
		if chosen && !w.Operator.Watches(ns.Name) {
			unwatched = append(unwatched, ns.Name)
		}
	}
	if len(unwatched) == 0 {
		return nil, nil
	}
	slices.Sort(unwatched)
	return admission.Warnings{spec.OutOfReach(unwatched)}, nil
}
