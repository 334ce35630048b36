package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// probeImage is what runs in the pods of the tests: test/e2e/probe.
const probeImage = "keyturn.dev/probe:e2e"

// mount is a volume of a pod, and where its files appear.
type mount struct {
	path   string
	source corev1.VolumeSource
}

func mountSecret(path, name string) mount {
	return mount{path: path, source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}
}

func mountConfigMap(path, name string) mount {
	return mount{path: path, source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: name},
	}}}
}

// newPod is a pod of the probe, lawful under Pod Security "restricted".
func newPod(namespace, name string, arguments []string, mounts ...mount) *corev1.Pod {
	container := corev1.Container{
		Name: "probe", Image: probeImage, ImagePullPolicy: corev1.PullNever, Command: []string{"/probe"}, Args: arguments,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8080)},
		}},
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false), TerminationGracePeriodSeconds: new(int64(1)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), RunAsGroup: new(int64(65532)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		},
	}
	for i, m := range mounts {
		volume := fmt.Sprintf("volume-%d", i)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volume, VolumeSource: m.source})
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: volume, MountPath: m.path, ReadOnly: true})
	}
	pod.Spec.Containers = []corev1.Container{container}
	return pod
}

// newService lets others find a pod by its name.
func newService(namespace, pod string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": pod}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
}

// awaitPods waits until pods are ready.
func (c *cluster) awaitPods(t *testing.T, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		eventually(t, "pod "+pod.Name+" becomes ready", func() error {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
				return err
			}
			return podReady(pod)
		})
	}
}

func podReady(pod *corev1.Pod) error {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Waiting != nil {
			return fmt.Errorf("its container waits: %s: %s", status.State.Waiting.Reason, status.State.Waiting.Message)
		}
	}
	return errors.New("it is not ready")
}

// counts reads what a probe has counted, from the pod itself: nothing else needs to work for that.
func counts[T any](t *testing.T, c *cluster, pod *corev1.Pod) T {
	t.Helper()
	var told T
	text, err := c.ask(t, "http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/counts")
	if err != nil {
		t.Fatalf("read the counts of pod %s: %v", pod.Name, err)
	}
	must(t, json.Unmarshal(text, &told))
	return told
}

// ask gets a document; this machine has routes to the pods.
func (c *cluster) ask(t *testing.T, url string) ([]byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return text, err
}

// restarts is how often the containers of a pod were started again.
func (c *cluster) restarts(t *testing.T, pod *corev1.Pod) int {
	t.Helper()
	sum := 0
	for _, status := range get(t, c, pod.Namespace, pod.Name, &corev1.Pod{}).Status.ContainerStatuses {
		sum += int(status.RestartCount)
	}
	return sum
}
