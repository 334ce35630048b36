package operator

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/controlplane"
)

// store is the namespace of which docs/threat-model.md gives its examples.
const store = "store"

// advice are the commands of docs/threat-model.md, by their heading.
func advice(t *testing.T) map[string]string {
	t.Helper()
	folder, err := controlplane.Path("docs")
	if err != nil {
		t.Fatal(err)
	}
	page, err := fs.ReadFile(os.DirFS(folder), "threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]string{}
	for _, section := range strings.Split(string(page), "\n### ")[1:] {
		heading, rest, _ := strings.Cut(section, "\n")
		if _, rest, found := strings.Cut(rest, "```sh\n"); found {
			commands[heading], _, _ = strings.Cut(rest, "```")
		}
	}
	return commands
}

// shell runs commands as an administrator does, and returns what they say.
func shell(t *testing.T, script string, variables ...string) string {
	t.Helper()
	config := suite.Config(t)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"a": {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "a"}},
		CurrentContext: "x",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	bash := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-s")
	bash.Stdin = strings.NewReader(script)
	bash.Env = append(os.Environ(), append(variables, "KUBECONFIG="+file, "PATH="+os.Getenv("KUBEBUILDER_ASSETS")+":"+os.Getenv("PATH"))...)
	output, err := bash.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, output)
	}
	return string(output)
}

// robbery is a world from which something is stolen: the SigningKey "shop", the TokenClient "cart" and the ServiceToken "till".
type robbery struct {
	*world
	cart caller
	// stolen are tokens that the client had, and forged is a token that was signed with the key of the ring Secret.
	stolen reply
	forged string
	// trusted is the CA that clients trusted.
	trusted string
}

func rob(t *testing.T) *robbery {
	t.Helper()
	w, v := beginServing(t, keeping(inFile(t)))
	w.must(client.IgnoreAlreadyExists(w.c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: store}})))
	w.must(w.c.DeleteAllOf(t.Context(), &corev1.Secret{}, client.InNamespace(store)),
		w.c.DeleteAllOf(t.Context(), &corev1.ConfigMap{}, client.InNamespace(store)))
	w.ready(store, []*v1alpha1.SigningKey{newKey(store, "shop")}, []*v1alpha1.ServiceToken{newToken(store, "till", "shop")})
	v.protects(store)
	r := &robbery{world: w, cart: v.calls(newClient(store, "cart", "shop", refreshing))}
	r.stolen, r.forged = r.cart.asked(), w.access(store, "shop", time.Hour)
	r.trusted = w.configMap("keyturn-system", "keyturn-ca").Data["ca.crt"]
	w.must(r.cart.isLetIn(r.stolen.Access, http.StatusOK), r.cart.isLetIn(r.forged, http.StatusOK))
	return r
}

// recovers runs what the page says, and waits until TokenRevocations that it makes count, and until what is issued then is good.
func (r *robbery) recovers(script string, variables ...string) string {
	r.t.Helper()
	said := shell(r.t, script, variables...)
	var made v1alpha1.TokenRevocationList
	r.must(r.c.List(r.t.Context(), &made, client.InNamespace(store)))
	for i := range made.Items {
		one := &made.Items[i]
		r.patch(one, func() { metav1.SetMetaDataAnnotation(&one.ObjectMeta, v1alpha1.AnnotationForceDelete, "true") })
		counts := r.revocationIs(store, one.Name, metav1.ConditionTrue, v1alpha1.ReasonRevoked)
		if counts.Status.IssuedBefore != nil {
			r.reaches(counts.Status.IssuedBefore)
		}
	}
	return said
}

func (r *robbery) refuse(what, compact string) {
	r.t.Helper()
	r.eventually("the gate refuses "+what, func() error { return r.cart.isLetIn(compact, http.StatusUnauthorized) })
}

// hasAnotherSecret waits until the stolen client secret is none any more, and is the client with the new one.
func (r *robbery) hasAnotherSecret() {
	r.t.Helper()
	r.eventually("the stolen client secret is refused", func() error { return r.cart.ask().is(http.StatusUnauthorized, "invalid_client") })
	r.cart.secret = string(r.world.secret(store, "cart-client").Data["client-secret"])
}

// goesOn waits until the client gets tokens that the gate lets in, and the ServiceToken has one that verifies.
func (r *robbery) goesOn() {
	r.t.Helper()
	r.eventually("a fresh token is let in", func() error { return r.cart.isLetIn(r.cart.asked().Access, http.StatusOK) })
	r.eventually("the ServiceToken verifies", func() error { return r.verifies(store, "till", "shop") })
}

// hasAnotherRing waits until no key is published that was.
func (r *robbery) hasAnotherRing(before *v1alpha1.SigningKey) {
	r.t.Helper()
	r.eventually("no stolen key is published", func() error {
		now := published(r.t, r.configMap(store, "shop-jwks").Data["jwks.json"])
		for _, stolen := range before.Status.Keys {
			if slices.Contains(now, stolen.ID) {
				return fmt.Errorf("%s is there", stolen.ID)
			}
		}
		return nil
	})
}

// hasAnotherCA waits until clients and API servers are told of another CA alone, and trusts that.
func (r *robbery) hasAnotherCA() {
	r.t.Helper()
	r.eventually("clients and API servers are told of another CA alone", func() error {
		told := r.configMap("keyturn-system", "keyturn-ca").Data["ca.crt"]
		hooks := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := r.c.Get(r.t.Context(), client.ObjectKey{Name: "keyturn"}, hooks); err != nil {
			return err
		}
		if told == r.trusted || strings.Contains(told, strings.TrimSpace(r.trusted)) || string(hooks.Webhooks[0].ClientConfig.CABundle) != told {
			return errors.New("the stolen one is trusted, or there are two opinions")
		}
		return nil
	})
	r.cart.client.CloseIdleConnections()
	r.cart.meet(r.world)
}

// TestTheThreatModelRecovers runs the commands of docs/threat-model.md, as they are printed there, after what they are for.
func TestTheThreatModelRecovers(t *testing.T) {
	stories := map[string]func(r *robbery, script string){
		"A token": func(r *robbery, script string) {
			r.recovers(script, "JTI="+idOf(t, r.stolen.Access))
			r.refuse("the token", r.stolen.Access)
		},
		"A client secret, or a client's private key": func(r *robbery, script string) {
			r.recovers(script)
			r.hasAnotherSecret()
			r.refuse("the token", r.stolen.Access)
			r.must(r.cart.refresh(r.stolen.Refresh).refused())
		},
		"A ring Secret": func(r *robbery, script string) {
			before := r.key(store, "shop")
			r.recovers(script)
			r.hasAnotherRing(before)
			r.refuse("what was forged", r.forged)
		},
		"A backup of etcd, or of all Secrets": func(r *robbery, script string) {
			before := r.key(store, "shop")
			r.recovers(script)
			r.hasAnotherCA()
			r.hasAnotherSecret()
			r.hasAnotherRing(before)
			r.refuse("what was forged", r.forged)
		},
		"An operator Pod, or the operator's ServiceAccount": func(r *robbery, script string) {
			r.create(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: store, Name: "planted", Annotations: map[string]string{corev1.ServiceAccountNameKey: "admin"}},
				Type:       corev1.SecretTypeServiceAccountToken,
			})
			if said := r.recovers(script); !strings.Contains(said, "planted") {
				r.t.Errorf("the Secret that somebody had a token put into is not found:\n%s", said)
			}
		},
		"The database of refresh tokens, or its file": func(r *robbery, script string) {
			r.recovers(script)
			r.must(r.cart.refresh(r.stolen.Refresh).refused())
		},
		"The certificate of webhook and HTTPS server": func(r *robbery, script string) {
			r.recovers(script)
			r.hasAnotherCA()
		},
	}
	scripts := advice(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(scripts)), slices.Sorted(maps.Keys(stories))); diff != "" {
		t.Errorf("headings with commands (-docs/threat-model.md +this test):\n%s", diff)
	}
	for heading, story := range stories {
		t.Run(heading, func(t *testing.T) {
			r := rob(t)
			story(r, scripts[heading])
			r.goesOn()
		})
	}
}
