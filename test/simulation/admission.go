package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
	"github.com/keyturn/keyturn/webhook"
)

// admit asks the webhook that a request is meant for, in some replica that answers. The conditions are those of
// config/webhook: which requests travel to which webhook.
func (w *world) admit(r apiserver.Review) error {
	if r.User == operatorUser || r.User == apiserver.GarbageCollector || r.User == apiserver.NamespaceController {
		return nil
	}
	path := pathOf(r)
	if path == "" {
		return nil
	}
	first := w.random("admission").IntN(len(w.replicas))
	for n := range w.replicas {
		if p := w.replicas[(first+n)%len(w.replicas)].process; p != nil && p.alive && !p.frozen() {
			return w.ask(p, path, r)
		}
	}
	return apierrors.NewInternalError(errors.New("failed calling webhook: no endpoints available"))
}

// pathOf is the webhook that a request is meant for; empty if it is none.
func pathOf(r apiserver.Review) string {
	object := r.New
	if object == nil {
		object = r.Old
	}
	switch object := object.(type) {
	case *v1alpha1.SigningKey:
		if old, ok := r.Old.(*v1alpha1.SigningKey); ok && r.New != nil && equality.Semantic.DeepEqual(old.Spec, object.Spec) ||
			r.New == nil && object.Annotations[v1alpha1.AnnotationForceDelete] == "true" {
			return ""
		}
		return webhook.PathSigningKey
	case *v1alpha1.ServiceToken:
		if old, ok := r.Old.(*v1alpha1.ServiceToken); r.New == nil || ok && equality.Semantic.DeepEqual(old.Spec, object.Spec) {
			return ""
		}
		return webhook.PathServiceToken
	case *corev1.Secret:
		if r.New == nil || !bringsToken(r.Old, object) {
			return ""
		}
		return webhook.PathSecret
	default:
		return ""
	}
}

// bringsToken says whether a Secret holds a token that the one before did not hold.
func bringsToken(before client.Object, secret *corev1.Secret) bool {
	_, labelled := secret.Labels[v1alpha1.LabelToken]
	if !labelled && secret.Type != v1alpha1.SecretTypeToken {
		return false
	}
	old, replaced := before.(*corev1.Secret)
	return !replaced || string(old.Data[v1alpha1.SecretKeyToken]) != string(secret.Data[v1alpha1.SecretKeyToken])
}

func (w *world) ask(p *process, path string, r apiserver.Review) error {
	request := admissionv1.AdmissionRequest{
		UID: "review", UserInfo: authenticationv1.UserInfo{Username: r.User}, Operation: admissionv1.Create,
		Object: raw(r.New), OldObject: raw(r.Old),
	}
	named := r.New
	switch {
	case r.New == nil:
		request.Operation, named = admissionv1.Delete, r.Old
	case r.Old != nil:
		request.Operation = admissionv1.Update
	}
	request.Name, request.Namespace = named.GetName(), named.GetNamespace()
	name := apiserver.NameOf(named)
	request.Kind = metav1.GroupVersionKind{Kind: string(name.Kind)}
	w.count.Reviews++
	answer, err := post(w.ctx, p.hooks[path], &request)
	if err != nil || answer.Allowed {
		return err
	}
	w.count.Refused++
	status := *answer.Result
	if status.Code == 0 {
		status.Code = http.StatusForbidden
	}
	return &apierrors.StatusError{ErrStatus: status}
}

// post asks a webhook as an API server does.
func post(ctx context.Context, hook http.Handler, asked *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	review := admissionv1.AdmissionReview{Request: asked}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	body, err := json.Marshal(review)
	if err != nil {
		return nil, fmt.Errorf("encode review: %w", err)
	}
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	response := httptest.NewRecorder()
	hook.ServeHTTP(response, request)
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(response.Body.Bytes(), &answer); err != nil {
		return nil, fmt.Errorf("read answer of the webhook: %w", err)
	}
	if answer.Response == nil {
		return nil, errors.New("the webhook has not answered")
	}
	return answer.Response, nil
}

func raw(object client.Object) runtime.RawExtension {
	if object == nil {
		return runtime.RawExtension{}
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return runtime.RawExtension{Raw: encoded}
}
