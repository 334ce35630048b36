package interop_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// clusterVariable, when set, asks for the tests against the cluster that `make up` has started.
const clusterVariable = "KEYTURN_INTEROP_CLUSTER"

// cluster is what foreign verifiers of a cluster need: every key, every copy of a JWKS by its issuer, every token.
type cluster struct {
	keys   map[client.ObjectKey]v1alpha1.SigningKey
	jwks   map[string][]corev1.ConfigMap
	tokens []v1alpha1.ServiceToken
	// url is where the operator serves, and ca what to trust there.
	url, ca string
}

// kubectl reads what it prints as JSON. It prints a token, so that its output is never shown.
func kubectl(t *testing.T, into any, arguments ...string) {
	t.Helper()
	flags := []string{"--kubeconfig=../../.run/kubeconfig", "--cache-dir=../../.run/kubectl-cache", "--output=json"}
	printed, err := run(t, nil, "../../.run/bin/kubectl", append(arguments, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(printed, into); err != nil {
		t.Fatalf("read the output of kubectl %v: %v", arguments, err)
	}
}

func readCluster(t *testing.T) cluster {
	t.Helper()
	c := cluster{keys: map[client.ObjectKey]v1alpha1.SigningKey{}, jwks: map[string][]corev1.ConfigMap{}}
	var keys v1alpha1.SigningKeyList
	kubectl(t, &keys, "get", "signingkeys", "--all-namespaces")
	for _, key := range keys.Items {
		c.keys[client.ObjectKeyFromObject(&key)] = key
	}
	var copies corev1.ConfigMapList
	kubectl(t, &copies, "get", "configmaps", "--all-namespaces", "--selector="+v1alpha1.LabelSigningKey)
	for _, published := range copies.Items {
		issuer := published.Data[v1alpha1.ConfigMapKeyIssuer]
		c.jwks[issuer] = append(c.jwks[issuer], published)
	}
	var tokens v1alpha1.ServiceTokenList
	kubectl(t, &tokens, "get", "servicetokens", "--all-namespaces")
	c.tokens = tokens.Items
	c.url = servedURL(t)
	var ca corev1.ConfigMap
	kubectl(t, &ca, "get", "configmap", "--namespace=keyturn-system", "keyturn-ca")
	c.ca = ca.Data["ca.crt"]
	return c
}

// servedURL reads where the operator of `make up` serves.
func servedURL(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../../.run/state.json")
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Ports struct {
			HTTPS int `json:"https"`
		} `json:"ports"`
	}
	if err := json.Unmarshal(content, &state); err != nil || state.Ports.HTTPS == 0 {
		t.Fatalf("the cluster of make up serves no HTTPS (%v)", err)
	}
	return fmt.Sprintf("https://127.0.0.1:%d", state.Ports.HTTPS)
}

// tasks ask to verify one token with every copy of its key's JWKS, and with what is served; the places are in words.
func (c cluster) tasks(t *testing.T, token v1alpha1.ServiceToken) (places []string, tasks []task) {
	t.Helper()
	var secret corev1.Secret
	kubectl(t, &secret, "get", "secret", "--namespace="+token.Namespace, spec.TokenSecretName(&token))
	key := c.keys[spec.KeyRef(&token)]
	typ := "JWT"
	if token.Spec.Profile == v1alpha1.ProfileAccessToken {
		typ = "at+jwt"
	}
	verify := task{
		Token: string(secret.Data[v1alpha1.SecretKeyToken]), Issuer: key.Status.Issuer, Audience: string(token.Spec.Audiences[0]),
		Type: typ, Algorithm: string(key.Spec.Algorithm),
	}
	for _, published := range c.jwks[key.Status.Issuer] {
		verify.JWKS = published.Data[v1alpha1.ConfigMapKeyJWKS]
		places, tasks = append(places, "namespace "+published.Namespace), append(tasks, verify)
	}
	verify.JWKS, verify.CA = "", c.ca
	verify.Configuration = c.url + "/" + key.Namespace + "/" + key.Name + "/.well-known/openid-configuration"
	return append(places, verify.Configuration), append(tasks, verify)
}

func TestTokensOfTheClusterVerifyWithForeignLibraries(t *testing.T) {
	t.Parallel()
	if os.Getenv(clusterVariable) == "" {
		t.Skipf("%s is not set: run make up, kubectl apply -f config/samples, and set it", clusterVariable)
	}
	cluster := readCluster(t)
	if len(cluster.tokens) == 0 {
		t.Fatal("the cluster has no ServiceToken: run kubectl apply -f config/samples")
	}
	for _, library := range libraries() {
		t.Run(library.name, func(t *testing.T) {
			program := library.program(t)
			for _, token := range cluster.tokens {
				t.Run(token.Name, func(t *testing.T) {
					places, tasks := cluster.tasks(t, token)
					if !slices.Contains(places, "namespace "+spec.KeyRef(&token).Namespace) {
						t.Fatalf("the JWKS is published in %q, and not in the namespace of the key", places)
					}
					for i, got := range program.do(t, tasks...) {
						if got.Refusal != "" {
							t.Errorf("with the JWKS of %s: refused: %s", places[i], got.Refusal)
						} else if got.Claims["jti"] != token.Status.TokenID {
							t.Errorf("with the JWKS of %s: token %v verifies, want %s", places[i], got.Claims["jti"], token.Status.TokenID)
						}
					}
				})
			}
		})
	}
}
