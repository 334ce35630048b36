package webhookcert

import (
	"bytes"
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=keyturn,verbs=get

// readConfiguration reads past every cache. It returns an empty configuration, which trusts nobody, when there is none.
func (m *Manager) readConfiguration(ctx context.Context) (*admissionregistrationv1.ValidatingWebhookConfiguration, error) {
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	key := client.ObjectKey{Name: m.options.WebhookConfiguration}
	if err := m.client.Get(ctx, key, configuration); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read webhook configuration: %w", err)
	} else if apierrors.IsNotFound(err) {
		return &admissionregistrationv1.ValidatingWebhookConfiguration{}, nil
	}
	return configuration, nil
}

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=keyturn,verbs=patch

// inject makes bundle the caBundle of every webhook and returns the configuration as the API server then has it, with whether
// it was written. The configuration must have been read before the Secret that bundle comes from. Then a bundle that lacks an
// authority which another replica has injected meanwhile meets a conflict: that authority was in the Secret before it was in
// the configuration, so whoever read it in neither has read the older configuration.
//
// It is a patch of caBundle alone and not an apply: an applier would own the webhook's entry in the list too, and keep an
// invalid stump of it when whoever installed the configuration removes that webhook.
func (m *Manager) inject(
	ctx context.Context, read *admissionregistrationv1.ValidatingWebhookConfiguration, bundle []byte,
) (*admissionregistrationv1.ValidatingWebhookConfiguration, bool, error) {
	if len(read.Webhooks) == 0 {
		return read, false, fmt.Errorf("inject webhook CA: there is no ValidatingWebhookConfiguration %q with webhooks: "+
			"install it, or name the one that calls this webhook", m.options.WebhookConfiguration)
	}
	updated := read.DeepCopy()
	differs := false
	for i := range updated.Webhooks {
		present := &updated.Webhooks[i].ClientConfig.CABundle
		differs = differs || !bytes.Equal(*present, bundle)
		*present = bundle
	}
	if !differs {
		return read, false, nil
	}
	patch := client.StrategicMergeFrom(read, client.MergeFromWithOptimisticLock{})
	if err := m.client.Patch(ctx, updated, patch, fieldOwner); err != nil {
		return read, false, fmt.Errorf("inject webhook CA: %w", err)
	}
	return updated, true, nil
}
