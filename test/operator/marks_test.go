package operator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
)

// Whoever may write in a watched namespace can mark what he writes as that of a SigningKey in any other.
func TestMarksOfANamespaceThatIsNotWatchedMakeNothingFail(t *testing.T) {
	bank, elsewhere := suite.Namespace(t, nil), suite.Namespace(t, nil)
	w := begin(t, func(options *app.Options, _ *rest.Config) { options.Operator.WatchedNamespaces = []string{bank} })
	copied := planted(t, elsewhere, "shop")
	copied.Namespace = bank
	ring := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: bank, Name: "shop", Labels: copied.Labels}, Type: v1alpha1.SecretTypeSigningKey}
	w.create(copied, ring)
	// By the time that a SigningKey is ready which was made later, what came before has been looked at.
	w.ready(bank, []*v1alpha1.SigningKey{newKey(bank, "own")}, nil)
	w.settled(1)
	for line := range strings.SplitSeq(logged.String(), "\n") {
		if strings.Contains(line, "error") && strings.Contains(line, elsewhere) {
			t.Errorf("logged: %s", line)
		}
	}
}

// refuser answers every deletion of an object as the API server does when somebody has just changed it.
type refuser struct {
	name string
	next http.RoundTripper
}

func (r *refuser) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodDelete || !strings.HasSuffix(request.URL.Path, "/"+r.name) {
		return r.next.RoundTrip(request)
	}
	conflict := apierrors.NewConflict(corev1.Resource("configmaps"), r.name, errors.New("it has changed")).Status()
	body, err := json.Marshal(conflict)
	return &http.Response{
		StatusCode: int(conflict.Code), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: request,
	}, err
}

// Whoever may write ConfigMaps somewhere can mark one as a copy of any JWKS, and change it all the time.
func TestAMarkedConfigMapThatChangesAllTheTimeHoldsNothingUp(t *testing.T) {
	w := begin(t, func(_ *app.Options, config *rest.Config) {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &refuser{name: "restless", next: next} })
	})
	ns := suite.Namespace(t, nil)
	restless := planted(t, ns, "shop")
	restless.Namespace, restless.Name = suite.Namespace(t, nil), "restless"
	w.create(restless)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	if !w.op.requests.has(http.MethodGet, "/signingkeys/shop") {
		t.Error("nobody tried to remove the ConfigMap")
	}
}
