package webhookcert

import (
	"context"
	"encoding/json"
	"strconv"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// store holds the three objects as an API server does, resourceVersion and all, and does nothing else: a property makes more
// requests than the usual fake answers in a reasonable time.
type store struct {
	// Not set: a pass neither lists nor watches.
	client.WithWatch
	// around is called with every request and whether it writes.
	around        func(writes bool, do func() error) error
	secret        *corev1.Secret
	configuration *admissionregistrationv1.ValidatingWebhookConfiguration
	published     *corev1.ConfigMap
	version       int
}

func (s *store) next() string {
	s.version++
	return strconv.Itoa(s.version)
}

func (s *store) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	return s.around(false, func() error {
		switch object := object.(type) {
		case *corev1.Secret:
			if s.secret == nil {
				return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
			}
			s.secret.DeepCopyInto(object)
		case *corev1.ConfigMap:
			if s.published == nil {
				return apierrors.NewNotFound(corev1.Resource("configmaps"), key.Name)
			}
			s.published.DeepCopyInto(object)
		case *admissionregistrationv1.ValidatingWebhookConfiguration:
			s.configuration.DeepCopyInto(object)
		}
		return nil
	})
}

func (s *store) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	return s.around(true, func() error {
		if present := s.like(object); present != nil {
			return apierrors.NewAlreadyExists(corev1.Resource("objects"), object.GetName())
		}
		s.put(object)
		return nil
	})
}

func (s *store) Update(_ context.Context, object client.Object, _ ...client.UpdateOption) error {
	return s.around(true, func() error {
		if version := object.GetResourceVersion(); version != "" && version != s.like(object).GetResourceVersion() {
			return apierrors.NewConflict(corev1.Resource("objects"), object.GetName(), nil)
		}
		s.put(object)
		return nil
	})
}

// like is the object of that kind, or nil.
func (s *store) like(object client.Object) client.Object {
	switch object.(type) {
	case *corev1.Secret:
		if s.secret != nil {
			return s.secret
		}
	case *corev1.ConfigMap:
		if s.published != nil {
			return s.published
		}
	}
	return nil
}

func (s *store) put(object client.Object) {
	object.SetResourceVersion(s.next())
	switch object := object.(type) {
	case *corev1.Secret:
		s.secret = object.DeepCopy()
	case *corev1.ConfigMap:
		s.published = object.DeepCopy()
	}
}

func (s *store) Patch(_ context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return s.around(true, func() error {
		changes, err := patch.Data(object)
		if err != nil {
			return err
		}
		present, err := json.Marshal(s.configuration)
		if err != nil {
			return err
		}
		merged, err := strategicpatch.StrategicMergePatch(present, changes, s.configuration)
		if err != nil {
			return err
		}
		patched := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := json.Unmarshal(merged, patched); err != nil {
			return err
		}
		if patched.ResourceVersion != s.configuration.ResourceVersion {
			return apierrors.NewConflict(admissionregistrationv1.Resource("validatingwebhookconfigurations"), patched.Name, nil)
		}
		patched.ResourceVersion = s.next()
		s.configuration = patched
		patched.DeepCopyInto(object.(*admissionregistrationv1.ValidatingWebhookConfiguration))
		return nil
	})
}
