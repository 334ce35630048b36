package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// operatorName is that of the operator's Deployment, Lease and ServiceAccount.
const operatorName = "keyturn"

// replicas are the operator's pods.
func (c *cluster) replicas(t *testing.T) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	must(t, c.List(t.Context(), &pods, client.InNamespace(operatorNamespace), client.MatchingLabels{
		"app.kubernetes.io/name": "keyturn", "app.kubernetes.io/component": "operator",
	}))
	return pods.Items
}

// awaitOperator waits until the Deployment is as its spec says, and each of its replicas is ready.
func (c *cluster) awaitOperator(t *testing.T) {
	t.Helper()
	eventually(t, "all replicas of the operator are ready", func() error {
		d := &appsv1.Deployment{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, d); err != nil {
			return err
		}
		s, want := d.Status, *d.Spec.Replicas
		if s.ObservedGeneration != d.Generation || s.UpdatedReplicas != want || s.ReadyReplicas != want || s.Replicas != want {
			return fmt.Errorf("of %d replicas %d run, %d are up to date and %d ready", want, s.Replicas, s.UpdatedReplicas, s.ReadyReplicas)
		}
		if pods := c.replicas(t); len(pods) != int(want) {
			return fmt.Errorf("there are %d pods, want %d", len(pods), want)
		}
		return nil
	})
}

// leader is the pod that holds the Lease.
func (c *cluster) leader(t *testing.T) (string, error) {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, lease); err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return "", errors.New("nobody holds the Lease")
	}
	pod, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return pod, nil
}

// mustLead returns the pod that holds the Lease, and the other one.
func (c *cluster) mustLead(t *testing.T) (leader, follower string) {
	t.Helper()
	eventually(t, "a replica leads", func() (err error) {
		leader, err = c.leader(t)
		return err
	})
	for _, pod := range c.replicas(t) {
		if pod.Name != leader {
			follower = pod.Name
		}
	}
	if follower == "" {
		t.Fatalf("there is no replica but %s", leader)
	}
	return leader, follower
}

// identity is who holds the Lease, which is another one in each process.
func (c *cluster) identity(t *testing.T) string {
	t.Helper()
	lease := get(t, c, operatorNamespace, operatorName, &coordinationv1.Lease{})
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// awaitAnotherLeader waits until somebody else holds the Lease.
func (c *cluster) awaitAnotherLeader(t *testing.T, was string) {
	t.Helper()
	eventually(t, "another replica leads", func() error {
		if is := c.identity(t); is == was || is == "" {
			return fmt.Errorf("the Lease is held by %q", is)
		}
		return nil
	})
}

// serves says whether a Service sends requests to a pod.
func (c *cluster) serves(t *testing.T, service, pod string) bool {
	t.Helper()
	var slices discoveryv1.EndpointSliceList
	must(t, c.List(t.Context(), &slices, client.InNamespace(operatorNamespace), client.MatchingLabels{discoveryv1.LabelServiceName: service}))
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			if ready && endpoint.TargetRef != nil && endpoint.TargetRef.Name == pod {
				return true
			}
		}
	}
	return false
}

// awaitServed waits until a pod does or does not get requests through the Services of webhook and JWKS.
func (c *cluster) awaitServed(t *testing.T, pod string, want bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("pod %s gets requests: %t", pod, want), func() error {
		for _, service := range []string{"keyturn-webhook", "keyturn"} {
			if got := c.serves(t, service, pod); got != want {
				return fmt.Errorf("Service %s sends it requests: %t", service, got)
			}
		}
		return nil
	})
}
