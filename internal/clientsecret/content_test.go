package clientsecret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientsecret"
	"github.com/keyturn/keyturn/internal/kube"
)

var (
	current  = strings.Repeat("c", 32)
	previous = strings.Repeat("p", 32)
)

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func cart() *v1alpha1.TokenClient {
	return &v1alpha1.TokenClient{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "uid"}}
}

// made is the Secret as the controller makes it after a rotation.
func made(change ...func(*corev1.Secret)) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "cart-client",
			Labels: map[string]string{"app.kubernetes.io/managed-by": "keyturn", "keyturn.dev/token-client": "cart"},
			Annotations: map[string]string{
				"keyturn.dev/rotate-requested-at": "r", "keyturn.dev/previous-secret-expires-at": now().Add(time.Hour).Format(time.RFC3339),
			},
			OwnerReferences: []metav1.OwnerReference{kube.OwnerReference(cart(), "TokenClient")},
		},
		Type: "keyturn.dev/client-secret",
		Data: map[string][]byte{"client-secret": []byte(current), "previous-client-secret": []byte(previous)},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func alone(s *corev1.Secret)       { s.OwnerReferences = nil }
func unannotated(s *corev1.Secret) { s.Annotations = nil }
func unlabelled(s *corev1.Secret)  { s.Labels = nil }

func TestKeeperOf(t *testing.T) {
	owner := func(change func(*metav1.OwnerReference)) func(*corev1.Secret) {
		return func(s *corev1.Secret) { change(&s.OwnerReferences[0]) }
	}
	type changes = []func(*corev1.Secret)
	for sentence, c := range map[string]struct {
		changes changes
		want    clientsecret.Keeper
	}{
		"one that the client controls":                         {nil, clientsecret.Keyturn},
		"one that it controls and that lost its marks":         {changes{unlabelled, unannotated}, clientsecret.Keyturn},
		"one restored without owner":                           {changes{alone}, clientsecret.Keyturn},
		"one restored with an earlier owner":                   {changes{owner(func(r *metav1.OwnerReference) { r.UID = "earlier" })}, clientsecret.Keyturn},
		"one without owner and annotation":                     {changes{alone, unannotated}, clientsecret.User},
		"one of a controller of another kind":                  {changes{owner(func(r *metav1.OwnerReference) { r.Kind, r.APIVersion, r.UID = "ExternalSecret", "x/v1", "x" })}, clientsecret.User},
		"one of another client":                                {changes{owner(func(r *metav1.OwnerReference) { r.Name, r.UID = "other", "other" })}, clientsecret.Foreign},
		"one of another client, without owner":                 {changes{alone, func(s *corev1.Secret) { s.Labels["keyturn.dev/token-client"] = "other" }}, clientsecret.Foreign},
		"a user's that is labelled as another client's":        {changes{alone, unannotated, func(s *corev1.Secret) { s.Labels["keyturn.dev/token-client"] = "other" }}, clientsecret.Foreign},
		"one without label and owner":                          {changes{alone, unlabelled}, clientsecret.Foreign},
		"one of another type, although the client controls it": {changes{func(s *corev1.Secret) { s.Type = "Opaque" }}, clientsecret.Foreign},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := clientsecret.KeeperOf(cart(), made(c.changes...)); got != c.want {
				t.Errorf("keeper is %d, want %d", got, c.want)
			}
		})
	}
}

func TestWhichClientSecretsAreValid(t *testing.T) {
	set := func(key, value string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.Data[key] = []byte(value) }
	}
	ends := func(value string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.Annotations["keyturn.dev/previous-secret-expires-at"] = value }
	}
	type both struct{ Current, Previous bool }
	for sentence, c := range map[string]struct {
		changes []func(*corev1.Secret)
		keeper  clientsecret.Keeper
		want    both
	}{
		"both, until the end of the one before":     {nil, clientsecret.Keyturn, both{true, true}},
		"not the one before at its end":             {[]func(*corev1.Secret){ends(now().Format(time.RFC3339))}, clientsecret.Keyturn, both{true, false}},
		"not the one before if it shall never end":  {[]func(*corev1.Secret){unannotated}, clientsecret.Keyturn, both{true, false}},
		"not the one before if its end is no time":  {[]func(*corev1.Secret){ends("soon")}, clientsecret.User, both{true, false}},
		"both of a user's, without an end":          {[]func(*corev1.Secret){unannotated}, clientsecret.User, both{true, true}},
		"not the one before of a user's at its end": {[]func(*corev1.Secret){ends(now().Format(time.RFC3339))}, clientsecret.User, both{true, false}},
		"only the one before, if there is no other": {[]func(*corev1.Secret){set("client-secret", "")}, clientsecret.Keyturn, both{false, true}},
		"none that is too short":                    {[]func(*corev1.Secret){set("client-secret", current[1:]), set("previous-client-secret", previous[1:])}, clientsecret.User, both{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			content := clientsecret.Read(made(c.changes...), c.keeper)
			accepts := func(text string) bool { return content.Accepts(clientsecret.NewValue(text), now()) }
			if diff := cmp.Diff(c.want, both{accepts(current), accepts(previous)}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, wrong := range []string{"", current + "x", current[1:], strings.ToUpper(current), previous[1:]} {
				if accepts(wrong) {
					t.Errorf("%q is accepted", wrong)
				}
			}
		})
	}
}

func TestAClientSecretNeverShowsItself(t *testing.T) {
	secret := clientsecret.Generate()
	encoded, err := json.Marshal(map[string]any{"a": secret, "b": &secret})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret)
	content := clientsecret.Content{Current: secret, Previous: secret}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %+v %s", secret, secret, secret, secret, secret, secret, secret, content, &content, content) + string(encoded) + log.String()
	if strings.Contains(shown, secret.Reveal()) || strings.Contains(shown, fmt.Sprintf("%x", secret.Reveal())) {
		t.Error("it does")
	}
	if again := clientsecret.Generate(); again.Equals(secret) {
		t.Error("two are the same")
	}
}
