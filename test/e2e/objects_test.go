package e2e_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The policy of the tests: what takes weeks in production takes seconds here.
const (
	period = 30 * time.Second
	// keep is how long the verifiers may cache: longer than Services send requests to a replica that is frozen.
	keep = 20 * time.Second
	// propagation is how long the kubelet may take to bring a change into a pod: in the clusters of hack/cluster it looks at each pod every 2 to 3 seconds.
	propagation = 5 * time.Second
	skew        = time.Second
	// A third of a token's life is left when it is renewed. Of a short one's that is more than a renewal takes, of the
	// longest one's it is more than it takes another replica to lead, or the API server to come back.
	shortToken   = 30 * time.Second
	longestToken = 90 * time.Second

	audience = "https://api.example.com"
)

func seconds(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// newNamespace makes a namespace for a test, in which Pod Security "restricted" is enforced.
func (c *cluster) newNamespace(t *testing.T, name string, more map[string]string) string {
	t.Helper()
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	maps.Copy(labels, more)
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	c.made(name)
	return name
}

// made remembers namespaces that have to go again.
func (c *cluster) made(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.namespaces = append(c.namespaces, names...)
}

// newKey is a key that rotates within seconds.
func newKey(namespace, name, issuer string) *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SigningKeySpec{
			Issuer: issuer, Algorithm: "ES256",
			Rotation: v1alpha1.RotationSpec{
				Period: seconds(period), VerifierCacheDuration: seconds(keep), PropagationDelay: seconds(propagation), ClockSkew: seconds(skew),
			},
			Tokens: v1alpha1.TokensSpec{MaxDuration: seconds(longestToken)},
		},
	}
}

func newToken(namespace, name, key string, life time.Duration) *v1alpha1.ServiceToken {
	return &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef: v1alpha1.SigningKeyReference{Name: key}, ServiceAccountName: name,
			Audiences: []v1alpha1.Audience{audience}, Duration: seconds(life),
		},
	}
}

// awaitReady waits until objects of Keyturn are Ready, as they are now.
func (c *cluster) awaitReady(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		eventually(t, object.GetName()+" becomes Ready", func() error {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
			return ready(object)
		})
	}
}

func ready(object client.Object) error {
	var conditions []metav1.Condition
	switch object := object.(type) {
	case *v1alpha1.SigningKey:
		conditions = object.Status.Conditions
	case *v1alpha1.ServiceToken:
		conditions = object.Status.Conditions
	case *v1alpha1.TokenClient:
		conditions = object.Status.Conditions
	case *v1alpha1.TokenRevocation:
		conditions = object.Status.Conditions
	case *v1alpha1.TokenPolicy:
		conditions = object.Status.Conditions
	}
	condition := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	switch {
	case condition == nil:
		return fmt.Errorf("it has no condition %s", v1alpha1.ConditionReady)
	case condition.ObservedGeneration != object.GetGeneration():
		return fmt.Errorf("its condition is about generation %d, and it is at %d", condition.ObservedGeneration, object.GetGeneration())
	case condition.Status != metav1.ConditionTrue:
		return fmt.Errorf("%s: %s", condition.Reason, condition.Message)
	}
	return nil
}
