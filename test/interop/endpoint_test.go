package interop_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/test/controlplane"
)

// endpoint is the token endpoint of an issuer in the cluster, with clients that may use every grant.
type endpoint struct {
	issuer string
	// ca is the file of what to trust there.
	ca                     string
	clientID, clientSecret string
	// keyClientID proves itself with the private key in keyFile, a JWK.
	keyClientID, keyFile string
	// accountClientID is the ServiceAccount whose token is in accountTokenFile.
	accountClientID, accountTokenFile string
}

// scope is one of two that the clients may ask for.
const scope = "orders:read"

// declarer declares an issuer and its clients in a namespace of the cluster.
type declarer struct {
	t         *testing.T
	c         client.Client
	namespace string
}

// newEndpoint waits until the clients can ask. They are there until the test ends.
func newEndpoint(t *testing.T) endpoint {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", "../../.run/kubeconfig")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "keyturn-interop-"}}
	d := declarer{t: t, c: c}
	d.must(c.Create(t.Context(), namespace))
	d.namespace = namespace.Name
	t.Cleanup(func() {
		if err := c.Delete(context.WithoutCancel(t.Context()), namespace); err != nil {
			t.Error(err)
		}
	})
	return d.endpoint()
}

func (d declarer) endpoint() endpoint {
	d.t.Helper()
	key, err := jose.GenerateKey(jose.EdDSA)
	d.must(err)
	private, err := key.JWK()
	d.must(err)
	signingKey := &v1alpha1.SigningKey{ObjectMeta: d.named("issuer"), Spec: v1alpha1.SigningKeySpec{Algorithm: "ES256"}}
	account := &corev1.ServiceAccount{ObjectMeta: d.named("pod")}
	d.must(d.c.Create(d.t.Context(), signingKey), d.c.Create(d.t.Context(), account))
	secretClient, keyClient, accountClient := d.clients(key)
	d.must(d.c.Create(d.t.Context(), secretClient), d.c.Create(d.t.Context(), keyClient), d.c.Create(d.t.Context(), accountClient))
	d.await(signingKey, &signingKey.Status.Conditions)
	for _, each := range []*v1alpha1.TokenClient{secretClient, keyClient, accountClient} {
		d.await(each, &each.Status.Conditions)
	}

	secret := &corev1.Secret{ObjectMeta: d.named(secretClient.Status.SecretName)}
	d.read(secret)
	ca := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "keyturn-system", Name: "keyturn-ca"}}
	d.read(ca)
	token := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{signingKey.Status.Issuer}}}
	d.must(d.c.SubResource("token").Create(d.t.Context(), account, token))
	return endpoint{
		issuer: signingKey.Status.Issuer, ca: d.file("ca.crt", ca.Data["ca.crt"]),
		clientID: secretClient.Status.ClientID, clientSecret: string(secret.Data["client-secret"]),
		keyClientID: keyClient.Status.ClientID, keyFile: d.file("key.jwk", string(private)),
		accountClientID: accountClient.Status.ClientID, accountTokenFile: d.file("token", token.Status.Token),
	}
}

func (d declarer) clients(key jose.PrivateKey) (secret, private, account *v1alpha1.TokenClient) {
	d.t.Helper()
	jwks, err := jose.NewKeySet(key.Public()).JSON()
	d.must(err)
	all := []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantRefreshToken, v1alpha1.GrantTokenExchange}
	of := func(name string, proof v1alpha1.ClientAuthentication, grants ...v1alpha1.GrantType) *v1alpha1.TokenClient {
		return &v1alpha1.TokenClient{ObjectMeta: d.named(name), Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef: v1alpha1.SigningKeyReference{Name: "issuer"}, Authentication: proof, GrantTypes: grants,
			Audiences: []v1alpha1.Audience{audience, "https://other.example"}, Scopes: []v1alpha1.Scope{scope, "orders:write"},
		}}
	}
	secret = of("secret", v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}}, all...)
	private = of("key", v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKS: string(jwks)}}, all...)
	account = of("account", v1alpha1.ClientAuthentication{
		ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{Names: []v1alpha1.ServiceAccountName{"pod"}},
	}, v1alpha1.GrantTokenExchange)
	// What a Pod sends to a client, for that to act for it, is for that client.
	account.Spec.Audiences = []v1alpha1.Audience{v1alpha1.Audience(d.namespace + ".secret"), v1alpha1.Audience(d.namespace + ".key")}
	return secret, private, account
}

func (d declarer) named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: d.namespace, Name: name}
}

func (d declarer) must(errs ...error) {
	d.t.Helper()
	for _, err := range errs {
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d declarer) read(object client.Object) {
	d.t.Helper()
	d.must(d.c.Get(d.t.Context(), client.ObjectKeyFromObject(object), object))
}

// await waits until an object is Ready, and leaves it as it is then.
func (d declarer) await(object client.Object, conditions *[]metav1.Condition) {
	d.t.Helper()
	err := wait.PollUntilContextTimeout(d.t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := d.c.Get(ctx, client.ObjectKeyFromObject(object), object)
		return meta.IsStatusConditionTrue(*conditions, v1alpha1.ConditionReady), err
	})
	if err != nil {
		d.t.Fatalf("%T %s does not become Ready: %v: %v", object, object.GetName(), err, *conditions)
	}
}

// file writes one that foreign programs read.
func (d declarer) file(name, content string) string {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), name)
	d.must(os.WriteFile(path, []byte(content), 0o600))
	return path
}
