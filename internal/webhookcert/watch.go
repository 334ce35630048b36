package webhookcert

import (
	"context"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// betweenWatches keeps a watch that the API server ends at once from becoming a busy loop.
const betweenWatches = time.Second

// target is the single object of a watch. Only metadata travels: what changed is read anew, and no key crosses the wire for it.
type target struct {
	list            schema.GroupVersionKind
	namespace, name string
}

// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=secrets,resourceNames=keyturn-webhook-cert,verbs=watch
// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=configmaps,resourceNames=keyturn-ca,verbs=watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=keyturn,verbs=watch

// watched are the objects whose change causes a pass.
func (m *Manager) watched() []target {
	targets := []target{
		{list: corev1.SchemeGroupVersion.WithKind("SecretList"), namespace: m.options.Namespace, name: m.options.SecretName},
		{
			list: admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfigurationList"),
			name: m.options.WebhookConfiguration,
		},
	}
	if !m.options.External {
		targets = append(targets, target{
			list: corev1.SchemeGroupVersion.WithKind("ConfigMapList"), namespace: m.options.Namespace, name: CAConfigMap,
		})
	}
	return targets
}

// follow watches target until ctx is done. A watch that ends is resumed where it stopped, so that a settled object causes no
// wake-up; one that failed may have missed something and always causes one.
func (m *Manager) follow(ctx context.Context, target target, wake chan<- struct{}) {
	version, retry := "", newBackoff()
	for ctx.Err() == nil {
		reached, err := m.watch(ctx, target, version, wake)
		pause := betweenWatches
		if err == nil {
			version, retry = reached, newBackoff()
		} else {
			log.FromContext(ctx).V(1).Info("webhook certificate watch failed", "kind", target.list.Kind, "error", err.Error())
			version, pause = "", max(pause, retry.Step())
			signal(wake)
		}
		m.rest(ctx, pause)
	}
}

// watch signals every change after version, every object present where version is empty, and returns how far it came.
func (m *Manager) watch(ctx context.Context, target target, version string, wake chan<- struct{}) (string, error) {
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(target.list)
	stream, err := m.client.Watch(ctx, objects, &client.ListOptions{
		Namespace:     target.namespace,
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, target.name),
		Raw:           &metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true},
	})
	if err != nil {
		return "", fmt.Errorf("watch %s %q: %w", target.list.Kind, target.name, err)
	}
	defer stream.Stop()
	for {
		select {
		case <-ctx.Done():
			return version, nil
		case event, open := <-stream.ResultChan():
			if !open {
				return version, nil
			}
			if version, err = heed(event, wake); err != nil {
				return "", fmt.Errorf("watch %s %q: %w", target.list.Kind, target.name, err)
			}
		}
	}
}

// heed signals what an event means and returns the version it stands for.
func heed(event watch.Event, wake chan<- struct{}) (string, error) {
	if event.Type == watch.Error {
		return "", apierrors.FromObject(event.Object)
	}
	object, err := meta.Accessor(event.Object)
	if err != nil {
		return "", fmt.Errorf("read event: %w", err)
	}
	if event.Type != watch.Bookmark {
		signal(wake)
	}
	return object.GetResourceVersion(), nil
}

// signal never blocks: one wake-up that waits stands for all.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
