package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

func pod(change func(*corev1.PodSpec)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", GenerateName: "till-"}}
	p.Spec.Containers = []corev1.Container{{Name: "main"}}
	change(&p.Spec)
	return p
}

func mounting(names ...string) *corev1.Pod {
	return pod(func(s *corev1.PodSpec) {
		for _, name := range names {
			s.Volumes = append(s.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}})
		}
	})
}

// ours gives a Secret the label by which the cache selects.
func ours(secret *corev1.Secret) *corev1.Secret {
	secret.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
	return secret
}

func TestPods(t *testing.T) {
	key := signingKey("bank", "main")
	keys, other := newRing(t, key), newRing(t, key)
	goner := signingKey("bank", "goner", func(k *v1alpha1.SigningKey) { k.UID = "goner-uid" })
	gone := newRing(t, goner)
	kid := gone.keys.Ring().Keys[0].ID
	goner.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(kid)}

	labelled := tokenSecret("shop", "labelled", keys.sign(t, "https://elsewhere.example", -time.Hour))
	labelled.Type, labelled.Labels = corev1.SecretTypeOpaque, map[string]string{v1alpha1.LabelToken: "true"}
	plain := tokenSecret("shop", "plain", keys.sign(t, key.Spec.Issuer, -time.Hour))
	plain.Type = corev1.SecretTypeOpaque
	withdrawn := ours(tokenSecret("shop", "withdrawn", ""))
	withdrawn.Data = nil

	seen := []client.Object{
		key, goner, keys.secret, gone.secret, withdrawn,
		ours(tokenSecret("shop", "good", keys.sign(t, key.Spec.Issuer, time.Hour))),
		ours(tokenSecret("shop", "stale", keys.sign(t, key.Spec.Issuer, -time.Hour))),
		ours(tokenSecret("shop", "revoked", gone.sign(t, goner.Spec.Issuer, time.Hour))),
		ours(tokenSecret("shop", "forged", other.sign(t, key.Spec.Issuer, time.Hour))),
		ours(tokenSecret("bank", "elsewhere", keys.sign(t, key.Spec.Issuer, -time.Hour))),
	}
	live := []client.Object{labelled, plain, tokenSecret("shop", "copy", keys.sign(t, key.Spec.Issuer, -time.Hour))}

	const expired = `the token in Secret stale expired at 2026-01-02T02:00:00Z, 60m ago: put a valid one there, or label the namespace keyturn.dev/expired-credentials=warn while a backup is restored`
	cases := map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"a valid token":           {mounting("good"), ""},
		"an expired token":        {mounting("good", "stale"), `Pod "till-" is invalid: spec.volumes[1].secret.secretName: Forbidden: ` + expired},
		"a revoked token":         {mounting("revoked"), `spec.volumes[0].secret.secretName: Forbidden: the token in Secret revoked was signed by key ` + kid + ` of SigningKey bank/goner, which is revoked`},
		"a token nobody signed":   {mounting("forged"), ""},
		"a token that is gone":    {mounting("withdrawn"), ""},
		"a Secret that is not":    {mounting("absent"), ""},
		"one of another place":    {mounting("elsewhere"), ""},
		"a copy without our mark": {mounting("copy"), `the token in Secret copy expired at`},
		"one with the label":      {mounting("labelled"), `the token in Secret labelled expired at`},
		"a Secret of no concern":  {mounting("plain"), ""},
		"no Secrets":              {mounting(), ""},
		"several faults":          {mounting("stale", "revoked"), `[spec.volumes[0].secret.secretName: Forbidden`},
		"a projected volume": {pod(func(s *corev1.PodSpec) {
			s.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{}}, {Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "stale"}}},
			}}}}}
		}), `spec.volumes[0].projected.sources[1].secret.name: Forbidden: ` + expired},
		"an environment variable": {pod(func(s *corev1.PodSpec) {
			s.Containers[0].Env = []corev1.EnvVar{{Name: "a", Value: "b"}, {Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{
				SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "stale"}, Key: "token"},
			}}}
		}), `spec.containers[0].env[1].valueFrom.secretKeyRef.name: Forbidden: ` + expired},
		"the whole environment": {pod(func(s *corev1.PodSpec) {
			s.InitContainers = []corev1.Container{{EnvFrom: []corev1.EnvFromSource{
				{ConfigMapRef: &corev1.ConfigMapEnvSource{}}, {SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "stale"}}},
			}}}
		}), `spec.initContainers[0].envFrom[1].secretRef.name: Forbidden: ` + expired},
		"a Secret that pulls images": {pod(func(s *corev1.PodSpec) {
			s.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "stale"}}
		}), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			strict := serve(t, cluster(append(seen, namespace("shop", nil))...), cluster(append(live, namespace("shop", nil))...))
			strict.check(request{path: webhook.PathPod, new: c.pod}, c.want)
		})
	}
	soft := serve(t, cluster(append(seen, lenient("shop"))...), cluster(live...))
	soft.check(request{path: webhook.PathPod, new: mounting("stale", "good", "copy")}, "", expired, "the token in Secret copy expired")
}

// Whoever creates Pods must not have the operator ask the API server for thousands of Secrets.
func TestPodsOfManySecretsAreJudgedByTheFirst(t *testing.T) {
	key := signingKey("bank", "main")
	keys := newRing(t, key)
	stale := ours(tokenSecret("shop", "stale", keys.sign(t, key.Spec.Issuer, -time.Hour)))
	c := cluster(key, keys.secret, stale, namespace("shop", nil))
	var names []string
	for i := range 63 {
		names = append(names, fmt.Sprintf("s%d", i))
	}
	serve(t, c, c).check(request{path: webhook.PathPod, new: mounting(append(names, "stale")...)}, "the token in Secret stale expired")
	serve(t, c, c).check(request{path: webhook.PathPod, new: mounting(append(names, "s63", "stale")...)}, "",
		"spec.volumes[64].secret.secretName: Secret stale and those after it are not judged: at most 64 of a Pod are")
}

func TestPodsStartWhereASecretCannotBeRead(t *testing.T) {
	broken := interceptor.NewClient(cluster().(client.WithWatch), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errors.New("no answer")
		},
	})
	serve(t, cluster(namespace("shop", nil)), broken).check(request{path: webhook.PathPod, new: mounting("x")}, "",
		"spec.volumes[0].secret.secretName: Secret x could not be judged")
}
