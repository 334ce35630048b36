package interop_test

import (
	"encoding/json"
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
	return c
}

// tasks ask to verify one token with every copy of its key's JWKS.
func (c cluster) tasks(t *testing.T, token v1alpha1.ServiceToken) (namespaces []string, tasks []task) {
	t.Helper()
	var secret corev1.Secret
	kubectl(t, &secret, "get", "secret", "--namespace="+token.Namespace, spec.TokenSecretName(&token))
	key := c.keys[spec.KeyRef(&token)]
	typ := "JWT"
	if token.Spec.Profile == v1alpha1.ProfileAccessToken {
		typ = "at+jwt"
	}
	for _, published := range c.jwks[key.Status.Issuer] {
		namespaces = append(namespaces, published.Namespace)
		tasks = append(tasks, task{
			Token: string(secret.Data[v1alpha1.SecretKeyToken]), JWKS: published.Data[v1alpha1.ConfigMapKeyJWKS],
			Issuer: key.Status.Issuer, Audience: string(token.Spec.Audiences[0]), Type: typ, Algorithm: string(key.Spec.Algorithm),
		})
	}
	return namespaces, tasks
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
					namespaces, tasks := cluster.tasks(t, token)
					if !slices.Contains(namespaces, spec.KeyRef(&token).Namespace) {
						t.Fatalf("the JWKS is published in the namespaces %q, and not in that of the key", namespaces)
					}
					for i, got := range program.do(t, tasks...) {
						if got.Refusal != "" {
							t.Errorf("with the JWKS in namespace %s: refused: %s", namespaces[i], got.Refusal)
						} else if got.Claims["jti"] != token.Status.TokenID {
							t.Errorf("with the JWKS in namespace %s: token %v verifies, want %s", namespaces[i], got.Claims["jti"], token.Status.TokenID)
						}
					}
				})
			}
		})
	}
}
