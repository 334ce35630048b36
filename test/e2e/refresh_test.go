package e2e_test

import (
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/hack/cluster/machine"
)

// withStore makes a volume for the file with refresh tokens, and returns the chart's values for that.
func (c *cluster) withStore(t *testing.T) []string {
	t.Helper()
	const name = "e2e-tokens"
	must(t, os.MkdirAll(filepath.Join(c.folder, name), 0o750))
	var nodes corev1.NodeList
	must(t, c.List(t.Context(), &nodes))
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("16Mi")}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path.Join(machine.Folder, name)}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{nodes.Items[0].Labels[corev1.LabelHostname]},
				}},
			}}}},
		},
	}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: volume.Spec.AccessModes, Resources: corev1.VolumeResourceRequirements{Requests: size},
			StorageClassName: new(string), VolumeName: name,
		},
	}
	c.newOperatorNamespace(t)
	c.create(t, volume, claim)
	t.Cleanup(func() { c.kubectl(t, "delete", "persistentvolume", name, operatorTimeout) })
	return []string{"replicaCount=1", "tokenStore.type=sqlite", "tokenStore.sqlite.existingClaim=" + name}
}

// A refresh token is good after the only replica was replaced, once. A second use ends all that came of it.
func refreshTokensOutliveTheReplica(t *testing.T, p *parties) {
	c := p.c
	till := newTill(p.key)
	till.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantRefreshToken}
	c.create(t, till)
	c.awaitReady(t, till)
	secret := get(t, c, till.Namespace, till.Status.SecretName, &corev1.Secret{})
	first := c.mustBeGranted(t, issuerOf(p.key), withSecret(secret, "client_credentials"))
	if first.RefreshToken == "" {
		t.Fatal("there is no refresh token")
	}
	refresh := func(token string) grantedTo {
		form := withSecret(secret, "refresh_token")
		form.Set("refresh_token", token)
		answer, err := c.grant(t, issuerOf(p.key), form)
		must(t, err)
		return answer
	}
	started := c.clock.Now()
	c.restart(t)
	c.mustBeGranted(t, issuerOf(p.key), withSecret(secret, "client_credentials")) // The Service leads to it again.
	took := c.clock.Since(started)
	second := refresh(first.RefreshToken)
	if second.Error != "" || second.RefreshToken == "" || second.RefreshToken == first.RefreshToken {
		t.Fatalf("after a restart a refresh token is answered with %q, want tokens that are new", second.Error)
	}
	if again := refresh(first.RefreshToken); again.Error != "invalid_grant" {
		t.Errorf("a refresh token that was used is answered with %q, want invalid_grant", again.Error)
	}
	if ended := refresh(second.RefreshToken); ended.Error != "invalid_grant" {
		t.Errorf("what came of a refresh token that was used twice is answered with %q, want invalid_grant", ended.Error)
	}
	eventually(t, "an event tells that a refresh token was used twice", func() error { return c.told(t, till, v1alpha1.ReasonRefreshTokenReused, 1) })
	c.report.saw(t, "refresh tokens", "one in a file outlives a restart of %s, is good once, and ends its family the second time", took.Round(time.Second))
}
