package clientsecret_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientsecret"
)

// FuzzRead: whatever a user puts into the Secret of a TokenClient, nothing short proves a client, nothing that Keyturn keeps outlives its end,
// and what is wrong is told without it.
func FuzzRead(f *testing.F) {
	long := strings.Repeat("x1", 16)
	for _, seed := range [][3]string{
		{long, long + "2", "2026-01-02T03:00:00Z"}, {long + "\n", long, ""}, {"short", "", "never"}, {strings.Repeat("é", 32), long, "2026-01-02T03:00:00+01:00"}, {"", long, "9999-12-31T23:59:59Z"},
	} {
		f.Add(seed[0], seed[1], seed[2], true)
		f.Add(seed[0], seed[1], seed[2], false)
	}
	f.Fuzz(func(t *testing.T, current, previous, until string, byUser bool) {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationPreviousSecretExpiresAt: until}},
			Data:       map[string][]byte{v1alpha1.SecretKeyClientSecret: []byte(current), v1alpha1.SecretKeyPreviousClientSecret: []byte(previous)},
		}
		keeper := clientsecret.Keyturn
		if byUser {
			keeper = clientsecret.User
		}
		content := clientsecret.Read(secret, keeper)
		for _, value := range []clientsecret.Value{content.Current, content.Previous} {
			if !value.IsZero() && len(value.Reveal()) < 32 || strings.Contains(fmt.Sprintf("%+v %#v", content, value), value.Reveal()) && !value.IsZero() {
				t.Errorf("%+v", content)
			}
		}
		if content.Current.IsZero() == (content.Problem == "") || len(current) > 12 && strings.Contains(content.Problem, current) {
			t.Errorf("problem: %s", content.Problem)
		}
		if _, err := time.Parse(time.RFC3339, until); err != nil && !content.Previous.IsZero() {
			t.Errorf("the previous one is valid until %q", until)
		}
	})
}
